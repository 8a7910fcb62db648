"""Hints name what their reader types: options here, pages that are installed, files of theirs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from b2jobs import errors
from b2jobs.cli import exits
from b2jobs.cli.main import cli, main
from b2jobs.cli.wording import OPTIONS, for_command_line
from b2jobs.requests.kinds import KINDS, PUBLIC_KINDS, build
from unit.cli.test_cli import every_command

HOME = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Submit it again, with if_exists='skip'.", "Submit it again, with --if-exists skip."),
        ('With if_exists="version" it stays.', "With --if-exists version it stays."),
        ("If that is right, sync with allow_empty_source.", "sync with --allow-empty-source."),
        ("max_delete (0.5) allows it.", "--max-delete (0.5) allows it."),
        ("verify=False takes the file as it is.", "--no-verify takes the file as it is."),
        ("Give it more time with `expires`.", "Give it more time with `--expires`."),
        ("keep_days: it is negative.", "--keep-days: it is negative."),
        ("'keep_days' and data://x/dry_run/y and b2://b/max_delete", "'keep_days' and data://x/d"),
        ("The retry of a key is a prefix.", "The retry of a key is a prefix."),
        ("delete: this cannot be.", "delete: this cannot be."),
    ],
)
def test_options_are_named_as_they_are_typed(said: str, read: str) -> None:
    assert read in for_command_line(said)


def test_every_argument_that_is_named_as_an_option_is_one() -> None:
    """A new field of a request: give it an option, mark it `INNER`, or add it to
    `WITHOUT_OPTION`."""
    known = {
        name
        for _, command in every_command()
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {name for name in OPTIONS if f"--{name.replace('_', '-')}" not in known} == set()


def test_nobody_is_told_of_fields_that_b2jobs_sets_by_itself() -> None:
    inner = {"encoded", "listed", "replaces", "shown", "stream"}
    models = [KINDS[kind] for kind in PUBLIC_KINDS]
    marked = {name for model in models for name in model.model_fields} - {
        name for model in models for name in model.given()
    }
    assert marked == inner
    with pytest.raises(errors.InvalidJob) as caught:
        build("upload", {"source": "data:,x", "destination": "b2://some-bucket/x", "nam": 1})
    assert "if_exists" in caught.value.hint
    assert not inner & set(re.findall(r"\w+", caught.value.hint))


def test_python_hears_of_arguments_and_the_command_line_of_options() -> None:
    failure = errors.Failure(code="c", message="No.", hint="Use if_exists='skip'.", act="caller")
    failed = errors.JobFailed(failure)
    assert str(failed) == "No. Use if_exists='skip'. [c]"
    assert exits.sentence(failed) == "No. Use --if-exists skip. [c]"
    # What a schedule runs is given as ARGUMENT=VALUE.
    refused = errors.InvalidJob("keep_days is 'x'.", code="invalid_schedule")
    assert exits.sentence(refused) == "keep_days is 'x'. [invalid_schedule]"


def test_every_page_that_a_text_names_can_be_read() -> None:
    named = set()
    for package in ("tasks", "worker", "console"):
        for path in (HOME / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    named |= set(re.findall(r"`b2jobs docs (\w[\w-]*)", node.value))
    assert {"security", "schedules"} <= named
    for page in named:
        shown = CliRunner().invoke(cli, ["docs", page])
        assert (shown.exit_code, shown.output[:2]) == (0, "# "), page
    listed = CliRunner().invoke(cli, ["docs"]).output
    assert re.search(r"^errors +\w", listed, re.MULTILINE)


def test_a_command_says_its_own_defaults() -> None:
    kinds = {"batch submit": "batch"}
    seen = 0
    for words, command in every_command():
        model = KINDS.get(kinds.get(" ".join(words), " ".join(words).replace(" ", "-")))
        if model is None:
            continue
        for option in command.params:
            told = re.search(r"\[default: ([\w.]+)\]", getattr(option, "help", "") or "")
            if told is None or str(option.name) not in model.model_fields:
                continue
            default = model.model_fields[str(option.name)].default
            text = "true" if told[1] == option.name else told[1]  # a pair, --verify/--no-verify
            said = option.type_cast_value(click.Context(command), text)
            assert said == default, (words, option.name)
            seen += 1
    assert seen > 20


def test_a_file_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for words, said in (
        (["upload", "foo", "b2://some-bucket/x"], "no file 'foo' on this machine. Write ./FILE"),
        (["upload", "./foo", "b2://some-bucket/x"], "there is no file './foo'"),
        (["batch", "submit", "./folder"], "is a folder of this machine, which workers do not see"),
        (["batch", "submit", "./nothing.csv"], "Name a file of this machine, data://ROOT/list"),
        (["batch", "submit", "./folder", "b2://some-bucket/x/"], "Workers do not see this mach"),
        (["sync", "/srv/photos", "b2://some-bucket/x/"], "Workers do not see this machine's"),
    ):
        monkeypatch.setattr(sys, "argv", ["b2jobs", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == exits.USAGE
        assert said in capsys.readouterr().err, words


@pytest.mark.parametrize("words", [["--help"], ["docs", "errors"], ["sync", "--help"]])
def test_whoever_reads_may_leave(words: list[str]) -> None:
    """`b2jobs ... | head`: Click, rich and the interpreter each ended with 1, once in a while."""
    program = f"import sys; sys.argv[1:] = {words!r}; from b2jobs.cli import main; main()"
    for buffering in ("", "import sys; sys.stdout.reconfigure(write_through=True); "):
        process = subprocess.Popen(
            [sys.executable, "-c", buffering + program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.close()  # before it writes
        assert (process.wait(30), process.communicate()[1]) == (0, b"")


def test_a_whole_command_ends_quietly_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise BrokenPipeError

    monkeypatch.setitem(cli.commands, "broken", broken)
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: broken)
    done = CliRunner().invoke(cli, ["broken"])
    assert type(done.exception).__name__ == "OutputClosed"
