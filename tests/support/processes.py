"""Child processes of a test: logged to a file, and ended by their own id whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from support.warm import WarmProcess, can_be_warm


class Process:
    """One child process whose output goes to *log*."""

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        cold: bool = False,
    ) -> None:
        """*cold*: not even a program that could start warm does (see `support.warm`)."""
        self.log = log
        self.ended = False
        with log.open("ab") as out, Path(os.devnull).open("rb") as nothing:
            self._process = start(command, (nothing, out, out), env=env, cwd=cwd, cold=cold)

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
        self._process.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
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


def run(
    *command: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | IO[bytes] = b"",
    timeout: float = 60.0,
    cold: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; killed when it takes longer than *timeout*.

    Raises:
        subprocess.TimeoutExpired: it did.
    """
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        if isinstance(stdin, bytes):
            given.write(stdin)
            given.seek(0)
        said_to = given if isinstance(stdin, bytes) else stdin
        process = start(command, (said_to, out, err), env=env, cwd=cwd, cold=cold)
        try:
            status = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        said = [(file.seek(0), file.read().decode())[1] for file in (out, err)]
    return subprocess.CompletedProcess(process.args, status, *said)


def start(
    command: Sequence[str | os.PathLike[str]],
    standard: tuple[IO[bytes], IO[bytes], IO[bytes]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    cold: bool = False,
) -> subprocess.Popen[bytes] | WarmProcess:
    """Start a program whose standard input, output and error are *standard*."""
    words = [os.fspath(word) for word in command]
    variables = dict(os.environ if env is None else env)
    given, out, err = standard
    if not cold and can_be_warm(words, variables):
        return WarmProcess(words, variables, cwd, [file.fileno() for file in standard])
    return subprocess.Popen(words, env=variables, cwd=cwd, stdin=given, stdout=out, stderr=err)


def children(pid: int) -> list[int]:
    """The ids of the direct children of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def command_of(pid: int) -> list[str]:
    """The words a process was started with; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
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
