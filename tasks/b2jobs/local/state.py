"""The folder of a local stack: its root, its data, its logs, its secrets.

my/            the root `.my`, read-write
redis/  b2/    what they keep
redis.conf     Redis's password, mode 600
log/           what the processes write
config.toml    the worker's configuration; kept when it is there already
b2.json        the credentials of the local B2, mode 600
ports.json     where Redis and the local B2 were reached last time
lock           held by every process of the stack
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from b2jobs.local.child import StackFailed, script


class State:
    """One folder, ours alone while we have it.

    Without *folder* a temporary one is made; it is removed when the stack has ended, even if
    this process is killed: a janitor process does it.

    Raises:
        StackFailed: `state_in_use`, `state_unusable`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.is_temporary = folder is None
        self._janitor: subprocess.Popen[bytes] | None = None
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="b2jobs-")) if folder is None else folder
            self.folder = self.folder.resolve()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StackFailed(
                f"The folder {folder} cannot be used: {error.strerror}.",
                code="state_unusable",
                hint="Name another with --data.",
            ) from error
        if self.is_temporary:
            self._janitor = subprocess.Popen(
                [*script("janitor"), str(self.folder)],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackFailed(
                f"Another stack runs in {self.folder}.",
                code="state_in_use",
                hint="Stop it, or name another folder with --data.",
            ) from error
        for name in ("my", "redis", "b2", "log"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        self._write_config()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def root(self) -> Path:
        """The folder behind `data://.my/`."""
        return self.folder / "my"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def secrets(self) -> Path:
        return self.folder / "b2.json"

    def log(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.log"

    def port(self, name: str) -> int:
        """The port *name* had last time if it is free, else any free one."""
        remembered = self._ports().get(name, 0)
        return _free_port(remembered) or _free_port(0)

    def remember_port(self, name: str, port: int) -> None:
        """Take the same port next time, so that URLs and `export` lines stay true."""
        (self.folder / "ports.json").write_text(json.dumps({**self._ports(), name: port}))

    def redis_config(self) -> tuple[Path, str]:
        """Redis's configuration and the password in it: a new one, or that of the last time.

        In a file, since what a process is started with can be read by everybody.
        """
        path = self.folder / "redis.conf"
        if not path.exists():
            _write_private(path, f"requirepass {secrets.token_urlsafe(24)}\n")
        return path, path.read_text().split()[-1]

    def write_secrets(self, credentials: dict[str, str]) -> None:
        """Put *credentials* into `b2.json`, which nobody else can read at any time."""
        _write_private(self.secrets, json.dumps(credentials))

    def close(self) -> None:
        """Give the folder back; a temporary one is gone when this returns."""
        os.close(self.lock)
        if self._janitor is not None:
            assert self._janitor.stdin is not None
            self._janitor.stdin.close()
            self._janitor.wait()

    def _ports(self) -> dict[str, int]:
        path = self.folder / "ports.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _write_config(self) -> None:
        if not self.config.exists():
            url = json.dumps(f"file://{self.root}", ensure_ascii=False)
            self.config.write_text(
                "# The worker's configuration. It is read when the stack starts.\n"
                f'[roots.".my"]\nurl = {url}\naccess = "read-write"\n'
            )


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)


def _free_port(wanted: int) -> int:
    """*wanted* when nobody listens there, any free one for 0; else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
        return int(probe.getsockname()[1])
