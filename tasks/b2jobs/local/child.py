"""A process that belongs to us: started under a guard, stopped by closing its pipe."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from b2jobs.errors import B2JobsError

STOP_SECONDS = 40.0
_LOG_LINES = 12


class StackFailed(B2JobsError):
    """A part of the local stack could not be started, or ended by itself."""

    def __init__(self, message: str, *, code: str = "stack_failed", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def script(name: str) -> list[str]:
    """How to run a file of this folder in a Python that loads nothing else."""
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name(f"{name}.py"))]


class Child:
    """One command of the stack. It ends when `stop` is called or when this process dies.

    What it writes to stderr goes to *log*, what it says on stdout to the same name with
    `.out`. *lock* is a file descriptor it holds open for as long as it runs.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        log: Path,
        lock: int,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = log
        self._out = log.with_suffix(".out")
        with log.open("ab") as errors, self._out.open("wb") as out:
            self._guard = subprocess.Popen(
                [*script("guard"), *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=errors,
                env=None if env is None else dict(env),
                pass_fds=[lock],
                # Its own session: Ctrl-C in the terminal reaches us alone, and we say when.
                start_new_session=True,
            )

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            StackFailed: it has ended; its last words are in the message.
        """
        status = self._guard.poll()
        if status is not None:
            raise StackFailed(f"{self.name} ended with status {status}.{self._last_words()}")

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Look until *ready* says so.

        Raises:
            StackFailed: it ended instead, or took longer.
        """
        end = time.monotonic() + timeout_seconds
        while not ready():
            self.check()
            if time.monotonic() > end:
                raise StackFailed(
                    f"{self.name} was not ready after {timeout_seconds:g} s.{self._last_words()}"
                )
            time.sleep(0.05)

    def said(self) -> str:
        """The first line it wrote to stdout; empty before it is complete."""
        line, newline, _ = self._out.read_text(errors="replace").partition("\n")
        return line if newline else ""

    def stop(self) -> None:
        """Ask it to end and wait; insist after a while. Called twice it does nothing."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        try:
            self._guard.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.terminate()
            self._guard.wait()

    def _last_words(self) -> str:
        text = "\n".join(path.read_text(errors="replace") for path in (self._out, self._log))
        lines = [line for line in text.splitlines() if line.strip()][-_LOG_LINES:]
        return "".join(f"\n    {line}" for line in lines)
