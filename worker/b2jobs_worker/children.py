"""The processes of a worker, as their parent starts them and keeps them running.

The first ones are forked from a parent that has loaded what all of them need, while it has one
thread: that is loaded once, and its memory is shared. One that is started again later, when the
parent has threads, loads everything itself.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

RESTART_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
PROGRAM = "b2jobs_worker.process"
_STOPS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger("b2jobs_worker")


@dataclass(frozen=True)
class Plan:
    """One process: which priorities it serves, with how many slots."""

    name: str
    priorities: list[str]
    slots: int


class Forked:
    """A process that is a copy of this one and runs *run*: what is used here of `Popen`."""

    def __init__(self, run: Callable[[], None]) -> None:
        self.returncode: int | None = None
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # the copy has our handlers
        self.pid = os.fork()
        if not self.pid:
            for number in _STOPS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            _run(run)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def poll(self) -> int | None:
        return self._wait(os.WNOHANG)

    def wait(self) -> int:
        status = self._wait(0)
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _run(run: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        os.setsid()
        run()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:  # noqa: BLE001 - it ends here, and says of what
        traceback.print_exc()
    finally:
        leave(status)


def leave(status: int) -> NoReturn:
    """End this process now: what it had to close is closed, and the rest is the system's."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def load() -> bool:
    """Load what all processes need; whether they may be forked."""
    if sys.platform != "linux":
        return False  # elsewhere the system's own libraries may not survive it
    try:
        importlib.import_module(PROGRAM).load()
    except Exception as error:  # noqa: BLE001 - each process loads it itself, and fails by itself
        logger.warning("not loaded in advance: %s: %s", type(error).__name__, error)
        return False
    return threading.active_count() == 1


class Child:
    """One Celery process and how it is kept running."""

    def __init__(self, what: Plan, forks: Callable[[], None] | None = None) -> None:
        """*forks*: called in a copy of this process, which is then the first to run; None to
        start another Python."""
        self.plan = what
        self.deaths = 0
        self.failed_starts = 0
        """How often in a row it has died before it took jobs."""
        self._ready = False
        self.start(forks)

    def start(self, forks: Callable[[], None] | None = None) -> None:
        self.started = time.monotonic()
        self._ready = False
        self._is_noted = False
        self._pipe, ready = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            words = (self.plan.name, str(self.plan.slots), str(os.getpid()), str(ready))
            self.process = self._forked(forks, words) if forks else self._spawned(words, ready)
        finally:
            os.close(ready)

    def _forked(self, forks: Callable[[], None], words: Sequence[str]) -> Forked:
        def run() -> None:
            os.close(self._pipe)
            forks()
            os.environ["B2JOBS_QUEUES"] = ",".join(self.plan.priorities)
            importlib.import_module(PROGRAM).serve(*words)

        return Forked(run)

    def _spawned(self, words: Sequence[str], ready: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", PROGRAM, "serve", *words],
            env={**os.environ, "B2JOBS_QUEUES": ",".join(self.plan.priorities)},
            start_new_session=True,
            pass_fds=[ready],
        )

    def revive(self) -> None:
        """Start the process again if it has died and has rested long enough."""
        status = self.process.poll()
        if status is None:
            return
        now = time.monotonic()
        self._note_death(now)
        pause = min(RESTART_PAUSE_SECONDS * 2**self.deaths, LONGEST_PAUSE_SECONDS)
        if now - self.started >= pause:
            logger.error(
                "process %s ended with status %d; starting it again", self.plan.name, status
            )
            self.deaths += 1
            self.start()

    def has_given_up(self, tries: int) -> bool:
        """Whether it has died *tries* times in a row while it was starting."""
        if self.process.poll() is not None:
            self._note_death(time.monotonic())
        return self.failed_starts >= tries

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def takes_jobs(self) -> bool:
        """Whether it runs and has said that it is ready."""
        if not self._is_noted:
            self._hear()
        return self._ready and self.is_running()

    def _hear(self) -> None:
        with suppress(BlockingIOError):  # it has not said it, or one of its own holds the other end
            self._ready = self._ready or os.read(self._pipe, 1) == b"1"

    def _note_death(self, now: float) -> None:
        if self._is_noted:
            return
        self._is_noted = True
        self._hear()
        os.close(self._pipe)
        self.failed_starts = 0 if self._ready else self.failed_starts + 1
        if now - self.started > LONGEST_PAUSE_SECONDS:
            self.deaths = 0
