"""Every path and name that docs, docstrings, comments and hints mention exists.

Each failure is one line: the file, its line, and what is mentioned there and is not.
"""

from __future__ import annotations

import ast
import keyword
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import click

from b2jobs.cli.main import cli
from b2jobs.redis import QUEUES
from b2jobs.requests.kinds import KINDS
from b2jobs_worker.settings import Settings
from installs.environments import extras

HOME = Path(__file__).resolve().parents[2]
# What others have: files that a reader makes, names of Linux, Kubernetes, rclone, BSD and Redis.
FOREIGN_FILES = {"b2jobs.toml", "pylock.toml", "test_avatars.py"}
FOREIGN_NAMES = {
    *("PR_SET_PDEATHSIG", "procctl", "dd", "uid", "fsGroup", "defaultMode", "lstat", "openat2"),
    *("statvfs", "posix_fallocate", "fallocate", "prlimit", "zip_folders", "all_files"),
    *("B2JOBS_CONSOLE_SERVICE_HOST", "B2JOBS_CONSOLE_PORT_80_TCP_ADDR"),
    *(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "tracestate",
        "maxclients",
        "PYTHONPATH",
        "NotRegistered",
        "enable_events",
        *keyword.kwlist,
    ),
}
# Put together in the code, or a column in SQL.
HIDDEN_NAMES = {
    "b2jobs_budget_limit",
    "b2jobs_budget_used",
    "b2jobs_refused_total",
    "source_unsupported",
    "refs",
}
# Stands for any name, as in `b2jobs.KIND`.
STANDS_FOR = {"KIND", "NAME", "FOLDER"}


@dataclass(frozen=True)
class Text:
    """A piece of text for people: where it stands, and whether it is Markdown."""

    path: Path
    line: int
    text: str

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
        """What *pattern* finds, with `FILE:LINE` before it."""
        for found in pattern.finditer(self.text):
            line = self.line + self.text.count("\n", 0, found.start())
            yield f"{self.path.relative_to(HOME)}:{line}", found[1]


@cache
def files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=HOME, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [path for name in listed.stdout.splitlines() if (path := HOME / name).is_file()]


@cache
def texts() -> list[Text]:
    """The docs; comments and docstrings; in the packages every sentence: hints are such."""
    found = []
    for path in files():
        if path.suffix == ".md" and path.name != "CHANGELOG.md":
            found.append(Text(path, 1, path.read_text()))
        if path.suffix == ".py" and path != Path(__file__):
            found += said_in(path)
    return found


def said_in(path: Path) -> Iterator[Text]:
    with tokenize.open(path) as source:
        for token in tokenize.generate_tokens(source.readline):
            if token.type == tokenize.COMMENT:
                yield Text(path, token.start[0], token.string)
    in_tests = path.is_relative_to(HOME / "tests") or path.is_relative_to(HOME / "bench")
    for node in ast.walk(tree(path)):
        match node:
            case ast.Constant(value=str() as text) if " " in text and not in_tests:
                yield Text(path, node.lineno, text)
            case ast.Expr(value=ast.Constant(value=str() as text)) if in_tests:
                yield Text(path, node.lineno, text)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def names() -> set[str]:
    """Every name in the code, and every word of strings that are no sentences."""
    found: set[str] = {f"B2JOBS_{field.upper()}" for field in Settings.model_fields}
    for path in files():
        if path.suffix == ".py" and path != Path(__file__):
            found |= {*path.relative_to(HOME).with_suffix("").parts, *names_in(path)}
        elif path.suffix in (".lua", ".yml", ".toml", ".json"):
            found |= set(re.findall(r"\w+", path.read_text()))
    return found


def names_in(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.keyword(arg=str() as name):
                yield name
            case ast.alias(name=name):
                yield from name.split(".")
            case ast.Constant(value=str() as text) if " " not in text:
                yield from re.findall(r"\w+", text)


def check(pattern: str, exists: Callable[[str], bool]) -> None:
    """Fail for what *pattern* finds in all texts and what does not exist."""
    wanted = re.compile(pattern, re.MULTILINE)
    tell(
        f"{where} mentions {mentioned!r}"
        for text in texts()
        for where, mentioned in text.mentions(wanted)
        if not exists(mentioned)
    )


def tell(dead: Iterable[str]) -> None:
    lines = sorted(set(dead))
    assert not lines, "\n".join(["which is not there:", *lines])


def test_paths() -> None:
    """A path from the top, or the end of one: `planner/step.py`."""
    known = [f"/{path.relative_to(HOME)}" for path in files()]

    def exists(path: str) -> bool:
        name = path.rpartition("/")[2]
        if path in FOREIGN_FILES or name.partition(".")[0] in STANDS_FOR:
            return True
        return any(each.endswith(f"/{path}") for each in known)

    check(r"(?<![\w./:@-])((?:[\w.-]+/)*[\w-]+\.(?:py|md|lua|toml|yml))\b(?![/(])", exists)


def test_folders() -> None:
    top = "tasks|worker|emulator|console|tests|bench|docs|docker|examples"
    check(rf"(?<![\w./:-])((?:{top})/[\w./-]*\w)", lambda path: (HOME / path).exists())


def test_links_between_documents() -> None:
    tell(
        f"{where} mentions {target!r}"
        for text in texts()
        if text.path.suffix == ".md"
        for where, target in text.mentions(re.compile(r"\]\((?!https?:)([^)#\s]+)"))
        if not (text.path.parent / target).exists()
    )


def test_dotted_names() -> None:
    """`b2jobs.Client`, `b2jobs_worker.delivery.keeper`: can be imported, or are tasks."""
    tasks = {f"b2jobs.{kind}" for kind in KINDS} | set(QUEUES.values())

    def exists(name: str) -> bool:
        parts = name.split(".")
        if parts[-1] in STANDS_FOR or name in tasks:
            return True
        for length in range(len(parts), 0, -1):
            try:
                found = import_module(".".join(parts[:length]))
            except ModuleNotFoundError:
                continue
            for part in parts[length:]:
                found = getattr(found, part, None)  # type: ignore[assignment]  # any object
            return found is not None
        return False

    check(r"`((?:b2jobs|b2jobs_worker|b2emulator)(?:\.[A-Za-z_]\w*)+)", exists)


def test_names() -> None:
    """`Attempt`, `lease_seconds`, `claim()`: a name that the code knows."""
    known = names() | FOREIGN_NAMES | HIDDEN_NAMES | STANDS_FOR
    check(r"`(?:\w+\.)*([A-Za-z_]\w*)(?:\(\))?`", known.__contains__)


def test_variables() -> None:
    check(r"\b(B2JOBS_[A-Z0-9_]*[A-Z0-9])\b(?!_)", (names() | FOREIGN_NAMES).__contains__)


def test_make_targets_and_extras() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (HOME / "Makefile").read_text(), re.MULTILINE))
    check(r"(?:`|^ {4})make ([a-z-]+)", targets.__contains__)
    check(r"b2jobs\[([\w,]+)\]", lambda said: set(said.split(",")) <= extras())


def test_commands_and_their_options() -> None:
    """`b2jobs job show ID --json`: the command, its subcommand and each option."""

    def exists(line: str) -> bool:
        words = line.split()
        command: click.Command = cli
        with click.Context(cli) as context:
            while isinstance(command, click.Group) and words and words[0][0].islower():
                found = command.get_command(context, words.pop(0).partition("|")[0])
                if found is None:
                    return False
                command = found
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        if command.context_settings.get("ignore_unknown_options"):
            return True
        said = set(re.findall(r"(?<!\S)--[a-z][\w-]*", line))
        return said <= known | {"--help"}

    check(r"(?:`|^ {4}(?:\$ )?|Run: )b2jobs ([a-z][^`#\n]*)", exists)
