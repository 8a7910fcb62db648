"""What an application pays for `import b2jobs`, and what an import must not do."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

import b2jobs
from b2jobs.cli.group import documented
from b2jobs.cli.main import COMMANDS, cli
from b2jobs.redis import QUEUES

FOREIGN = ("b2sdk", "celery", "kombu", "b2jobs_worker", "b2emulator", "pytest")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def test_the_producer_loads_neither_b2sdk_nor_celery_nor_the_engine() -> None:
    loaded = run(
        "import sys, b2jobs, b2jobs.aio; b2jobs.upload; print(' '.join(sys.modules))"
    ).split()
    assert not [name for name in loaded if name.split(".")[0] in FOREIGN]


def test_importing_connects_to_nothing() -> None:
    run(
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "import b2jobs; b2jobs.Client('redis://192.0.2.1:1/0')"
    )


def test_the_applications_own_celery_app_stays_current() -> None:
    out = run(
        "from celery import Celery, current_app\n"
        "mine = Celery('mine')\n"
        "import b2jobs; b2jobs.Client('redis://127.0.0.1:1/0')\n"
        "print(current_app.main)"
    )
    assert out.strip() == "mine"


DEAR = ("pydantic", "redis", "asyncio", "importlib.metadata", "concurrent.futures", "ssl", "rich")
"""What takes most of the time of what imports it: it is there when something is asked for."""


def dear(loaded: str) -> list[str]:
    return [name for name in loaded.split() if name.split(".")[0] in DEAR or name in DEAR]


def test_importing_loads_nothing_dear_before_something_is_asked_for() -> None:
    assert dear(run("import sys, b2jobs; b2jobs.celery_routes; print(*sys.modules)")) == []
    errors = "import sys, b2jobs; b2jobs.JobFailed, b2jobs.errors; print(*sys.modules)"
    assert dear(run(errors)) == []
    asked = run("import sys, b2jobs; b2jobs.upload; print(*sys.modules)")
    assert {"pydantic", "redis"} <= set(dear(asked))  # the list is of what there is


def test_the_help_loads_no_command() -> None:
    out = run(
        "import sys; sys.argv[1:] = ['--help']\n"
        "import b2jobs.cli\n"
        "try: b2jobs.cli.main()\n"
        "finally: print(*sys.modules)"
    )
    text, _, loaded = out.rstrip().rpartition("\n")
    assert "upload" in text
    assert dear(loaded) == []
    ours = {name for name in loaded.split() if name.startswith("b2jobs.cli.")}
    assert ours == {
        f"b2jobs.cli.{name}" for name in ("exits", "extras", "group", "main", "session")
    }


def test_the_help_says_of_each_command_what_the_command_says() -> None:
    context = click.Context(cli)
    for section in COMMANDS.values():
        for name, where in section.items():
            read, command = documented(where), cli.get_command(context, name)
            assert read is not None, f"{name}: its function has no docstring that can be read"
            assert command is not None
            assert read.get_short_help_str(100) == command.get_short_help_str(100)


@pytest.mark.parametrize("command", ["upload", "share", "ls", "worker", "console", "bucket"])
def test_the_help_of_a_command_and_completion_ask_for_nothing_dear(command: str) -> None:
    out = run(
        "import sys, click; from b2jobs.cli.main import cli\n"
        f"cli.get_command(click.Context(cli), {command!r}); print(*sys.modules)"
    )
    assert dear(out) == []


def test_a_client_builds_no_request_and_no_result() -> None:
    """All of them took pydantic a third of the time until there was a client."""
    code = (
        "import sys, b2jobs; b2jobs.Client('redis://127.0.0.1:1/0')\n"
        "from b2jobs.requests.kinds import KINDS, RESULTS\n"
        "def built(): return [m.__name__ for m in (*KINDS.values(), *RESULTS.values())"
        " if m.__pydantic_complete__]\n"
        "print(*built()); b2jobs.Check(); print(*built()); print(*sys.modules)"
    )
    before, after, loaded = run(code).splitlines()
    assert (before, after) == ("", "Check")
    heavy = ("celery", "kombu", "b2sdk", "requests", "urllib3", "rich", "jinja2", "aiohttp")
    assert not [name for name in loaded.split() if name.split(".")[0] in heavy]


def test_every_name_is_what_its_module_has() -> None:
    assert set(b2jobs.__all__) <= set(dir(b2jobs))
    for name in b2jobs.__all__:
        assert getattr(b2jobs, name) is not None
    assert b2jobs.errors.InvalidJob is b2jobs.InvalidJob  # as while importing loaded everything
    assert b2jobs.celery_routes["b2jobs.*"]["queue"] == QUEUES["normal"]
    with pytest.raises(AttributeError, match="uplaod"):
        b2jobs.uplaod  # type: ignore[attr-defined]  # noqa: B018 - that is the point
