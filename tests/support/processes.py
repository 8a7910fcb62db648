"""Child processes of a test: logged to a file, and ended by their own id whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class Process:
    """One child process whose output goes to *log*."""

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        self.ended = False
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [os.fspath(word) for word in command],
                env=None if env is None else dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        if self.status is None:
            os.kill(self.pid, number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM, and the exit status; killed when it takes longer than *timeout*."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.pid} did not end in {timeout:g} s") from None

    def wait(self, timeout: float = 60.0) -> int:
        return self._process.wait(timeout)


def children(pid: int) -> list[int]:
    """The ids of the direct children of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def kill_tree(process: Process) -> None:
    """Kill a process and its descendants, each by its id; the parent first, so none is revived."""
    everyone, todo = [], [process.pid]
    while todo:
        pid = todo.pop()
        everyone.append(pid)
        todo += children(pid)
    process.kill()
    for pid in everyone[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
