"""What runs under a guard ends with it, whenever the guard is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from b2jobs.local import guard

SLEEP = ["sleep", "60"]


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("moment", ["before it is there", "when it is there"])
def test_sigterm_while_the_command_is_started_ends_it_too(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    # The guard died of it and left the command behind.
    start = subprocess.Popen
    started = []

    def interrupted(*args: object, **options: object) -> object:
        if moment == "before it is there":
            os.kill(os.getpid(), signal.SIGTERM)
        started.append(start(*args, **options))  # type: ignore[call-overload]  # as it is called
        if moment == "when it is there":
            os.kill(os.getpid(), signal.SIGTERM)
        return started[0]

    monkeypatch.setattr(guard.subprocess, "Popen", interrupted)
    monkeypatch.setattr(guard, "_end_with_stdin", lambda process: None)

    assert guard.main(SLEEP) == 128 + signal.SIGKILL
    assert started[0].poll() == -signal.SIGKILL
