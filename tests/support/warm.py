"""Python programs that start warm: forked from a process that has loaded what they need.

Loading Celery, b2sdk and our own packages costs seconds of CPU, and hundreds of tests start a
worker, an emulator or a command. Whatever is started here is a process of its own like any other:
its id, signals, environment, descriptors and end are what a program's are, its modules are run as
`python -m` runs them. What a start itself costs or loads is seen by tests that start it cold.

python -m support.warm PACKAGE LINE    what is forked for one package; ends with who started it
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from b2jobs_worker.children import leave

PROGRAMS = {
    "b2emulator": "b2emulator",
    "b2jobs": "b2jobs",
    "b2jobs_worker": "b2jobs_worker",
    "celery": "b2jobs_worker",
}
"""What is worth it, and the package that has to be loaded for it."""

_TESTS = Path(__file__).resolve().parents[1]
_READS_SETTINGS = {"b2jobs_worker.celery.app", "b2jobs_worker.handlers.tasks"}
_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "OTEL_")
"""Variables that a Python or its libraries read before there is a module to run."""
_ENDS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal or a CI sends to all of us at once."""


def can_be_warm(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether *command* in *env* would be the same if it were forked."""
    return (
        sys.platform == "linux"
        and len(command) > 2
        and (command[0], command[1]) == (sys.executable, "-m")
        and command[2] in PROGRAMS
        and env.get("PYTHONPATH", "") in ("", str(_TESTS), os.environ.get("PYTHONPATH"))
        and _read_at_start(env) == _read_at_start(os.environ)
    )


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in env.items()
        if name.startswith(_READ_AT_START) and name != "PYTHONPATH"
    }


class WarmProcess:
    """A program that was forked: what tests use of `subprocess.Popen`."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | None,
        standard: Sequence[int],
    ) -> None:
        """*standard*: the descriptors that are its standard input, output and error."""
        self.args = command
        self.returncode: int | None = None
        self._heard = b""
        self._line, far = socket.socketpair()
        wanted = {"command": command[2:], "env": dict(env), "cwd": os.fspath(cwd or Path.cwd())}
        with far:
            said = json.dumps(wanted).encode()
            socket.send_fds(_parent(PROGRAMS[command[2]]), [said], [far.fileno(), *standard])
        self.pid = int(self._answer(None) or 0)
        assert self.pid, "the warm process is gone"

    def poll(self) -> int | None:
        return self._end(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        status = self._end(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def _end(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            said = self._answer(timeout)
            if said is not None:
                self.returncode = int(said)
                self._line.close()
        return self.returncode

    def _answer(self, timeout: float | None) -> bytes | None:
        """The next line, or None when it has not come in *timeout* seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._heard:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._line], [], [], left)[0]:
                return None
            said = self._line.recv(64)
            assert said, "the warm process is gone"
            self._heard += said
        line, _, self._heard = self._heard.partition(b"\n")
        return line


@cache
def _parent(package: str) -> socket.socket:
    """The line to the process that is forked, which is started now."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with far:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, package, str(far.fileno())],
            env={**os.environ, "PYTHONPATH": str(_TESTS)},
            pass_fds=[far.fileno()],
            stdin=subprocess.DEVNULL,
        )

    def end() -> None:
        near.close()
        process.wait(10)

    atexit.register(end)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return near


class Parent:
    """Forks programs, and tells who asked how each ended; one that nobody asks after is killed."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._looked_at = selectors.DefaultSelector()
        self._looked_at.register(line, selectors.EVENT_READ)
        self._children: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> dict[str, Any] | None:
        """Until there is nobody any more: None. In each copy of this process: what it is to run."""
        while True:
            for key, _ in self._looked_at.select():
                if key.fileobj is not self._line:
                    self._ended(key.data)
                elif (wanted := self._asked()) is not None:
                    return wanted
            if self._line.fileno() < 0:
                return None

    def _asked(self) -> dict[str, Any] | None:
        said, descriptors, _, _ = socket.recv_fds(self._line, 1 << 20, 4)
        if not said:
            self._looked_at.unregister(self._line)
            self._line.close()
            for child in self._children:
                os.kill(child, signal.SIGKILL)
            return None
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        pid = os.fork()
        if not pid:
            for number in _ENDS:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if not pid:
            self._forget()
            return {**json.loads(said), "descriptors": descriptors}
        line = socket.socket(fileno=descriptors[0])
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        watch = os.pidfd_open(pid)
        self._children[pid] = watch, line
        self._looked_at.register(watch, selectors.EVENT_READ, pid)
        line.sendall(b"%d\n" % pid)
        return None

    def _ended(self, pid: int) -> None:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        watch, line = self._children.pop(pid)
        self._looked_at.unregister(watch)
        os.close(watch)
        with suppress(OSError), line:
            line.sendall(b"%d\n" % status)

    def _forget(self) -> None:
        """A copy has nothing of what its parent had open."""
        self._looked_at.close()
        self._line.close()
        for watch, line in self._children.values():
            os.close(watch)
            line.close()


def load(package: str) -> None:
    """All that the package's programs load, as far as it does not depend on their settings."""
    path = importlib.import_module(package).__path__
    names = [module.name for module in pkgutil.walk_packages(path, f"{package}.")]
    if package == "b2jobs_worker":
        from b2jobs_worker import process

        names += ["celery.bin.celery", "celery.apps.worker", *process._ALL]
    for name in names:
        if name not in _READS_SETTINGS and not name.endswith("__main__"):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def become(command: list[str], env: dict[str, str], cwd: str, descriptors: list[int]) -> None:
    """Be `python -m COMMAND...` in this environment, and run."""
    line, *standard = descriptors
    os.close(line)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    ours = os.environ["PYTHONPATH"].split(os.pathsep)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    rest = sys.path[1 + len(ours) :]
    sys.path[:] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *rest]
    importlib.invalidate_caches()
    sys.argv[:] = ["-m", *command[1:]]
    leave(_status_of(command[0]))


def _status_of(program: str) -> int:
    """Run *program* to its end; taking all that is loaded apart afterwards would cost the most."""
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
        if isinstance(asked.code, str):
            print(asked.code, file=sys.stderr)
    except BaseException as error:  # noqa: BLE001 - as Python ends of it
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    threading._shutdown()  # type: ignore[attr-defined]  # what Python itself calls
    atexit._run_exitfuncs()
    return status


def main() -> None:
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)  # it ends with the one that started it
    package, line = sys.argv[1:]
    load(package)
    wanted = Parent(socket.socket(fileno=int(line))).serve()
    if wanted is not None:
        become(**wanted)


if __name__ == "__main__":
    main()
