"""A program that starts warm is the one that starts cold: what it says, its end, its signals."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from support.processes import Process, run
from support.waiting import eventually
from support.warm import can_be_warm

EMULATOR = (sys.executable, "-m", "b2emulator", "--memory")


@pytest.mark.parametrize(
    "words", [("--version",), ("no-such-command",), ("job", "list")], ids=" ".join
)
def test_it_says_the_same_and_ends_the_same(tmp_path: Path, words: tuple[str, ...]) -> None:
    env = {**os.environ, "B2JOBS_REDIS_URL": "redis://127.0.0.1:1/0", "B2JOBS_SECRETS_FILE": "none"}
    command = (sys.executable, "-m", "b2jobs", *words)

    warm, cold = (run(*command, env=env, cwd=tmp_path, cold=cold) for cold in (False, True))

    assert (warm.returncode, warm.stdout, warm.stderr) == (
        cold.returncode,
        cold.stdout,
        cold.stderr,
    )


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)]
)
def test_signals_reach_it(tmp_path: Path, number: int, status: int) -> None:
    process = Process(EMULATOR, log=tmp_path / "log")
    assert process.status is None
    eventually(lambda: "Ctrl-C ends it" in process.output())

    process.signal(number)

    assert process.wait() == status
    assert not Path(f"/proc/{process.pid}").exists()


def test_what_python_reads_when_it_starts_starts_cold() -> None:
    assert can_be_warm(EMULATOR, os.environ)
    assert not can_be_warm(EMULATOR, {**os.environ, "PYTHONOPTIMIZE": "1"})
    assert not can_be_warm(EMULATOR, {**os.environ, "PYTHONPATH": "something/broken"})
    assert not can_be_warm(("prlimit", *EMULATOR), os.environ)
