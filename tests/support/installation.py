"""One installation of b2jobs: a Redis prefix, a folder with config, secrets and roots, workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from redis import Redis

import b2jobs
from b2jobs import keyfile
from b2jobs.keyfile import WORKERS
from b2jobs.redis import QUEUES
from support.processes import Process, kill_tree, run

TESTS = Path(__file__).resolve().parents[1]
QUICK = {"B2JOBS_LEASE_SECONDS": "3", "B2JOBS_GRACE_SECONDS": "0.5"}


class Installation:
    """Producer and workers around one key prefix of one Redis; `close` ends all of it."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        *,
        key_prefix: str | None = None,
        account: Mapping[str, Any] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.redis_url = redis_url
        self.key_prefix = f"t{uuid.uuid4().hex[:8]}:" if key_prefix is None else key_prefix
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.secrets = folder / "b2.json"
        self.config = folder / "b2jobs.toml"
        if account is not None:
            self.write_secrets(dict(account))
        self.config.write_text(
            f'[roots.".my"]\nurl = "file://{self.data}"\naccess = "read-write"\n'
        )
        self.settings = {**QUICK, **(settings or {})}
        self.workers: list[Process] = []
        self.client = b2jobs.Client(redis_url, key_prefix=self.key_prefix)

    def require_signatures(self) -> Path:
        """Workers that are started now do what is signed alone; the client signs as `shop`.

        Answers the producer's file of keys.
        """
        workers, shop = self.folder / "keys.json", self.folder / "shop.keys.json"
        key = keyfile.new_key("shop")
        keyfile.write(workers, [keyfile.new_key(WORKERS), key])
        keyfile.write(shop, [key])
        self.settings |= {
            "B2JOBS_KEYS_FILE": str(workers),
            "B2JOBS_REQUIRE_SIGNATURE": "true",
            "B2JOBS_CACHE_FOLDER": str(self.folder / "cache"),
        }
        self.client = b2jobs.Client(self.redis_url, key_prefix=self.key_prefix, keys_file=shop)
        return shop

    def write_secrets(self, content: Mapping[str, Any]) -> None:
        self.secrets.touch(mode=0o600)
        self.secrets.write_text(json.dumps(content))

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a process of this installation."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("B2JOBS")}
        return {
            **clean,
            "PYTHONPATH": str(TESTS),
            "B2JOBS_REDIS_URL": self.redis_url,
            "B2JOBS_KEY_PREFIX": self.key_prefix,
            "B2JOBS_SECRETS_FILE": str(self.secrets),
            "B2JOBS_CONFIG": str(self.config),
            "FAKE_FOLDER": str(self.folder / "fake"),
            **self.settings,
            **more,
        }

    @property
    def redis(self) -> Redis:
        return self.client.records.redis

    def start(self, *command: str, name: str, **env: str) -> Process:
        """Start a process of this installation; its output is in `FOLDER/NAME.log`."""
        process = Process(
            command, log=self.folder / f"{name}.log", env=self.env(**env), cwd=self.folder
        )
        self.workers.append(process)
        return process

    def run(
        self, *words: str, stdin: bytes | IO[bytes] = b"", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `b2jobs WORDS...` and wait for it."""
        command = (sys.executable, "-m", "b2jobs", *words)
        return run(*command, env=self.env(**env), cwd=self.folder, stdin=stdin)

    def start_worker(self, name: str = "worker", **env: str) -> Process:
        """`python -m b2jobs_worker`: the parent with its processes."""
        return self.start(sys.executable, "-m", "b2jobs_worker", name=name, **env)

    def start_celery(
        self,
        name: str = "w",
        *,
        app: str = "support.fake_app",
        slots: int = 4,
        queues: str = "high,normal,low",
        queue_names: str | None = None,
        more: Sequence[str] = (),
        before: Sequence[str] = (),
        **env: str,
    ) -> Process:
        """One plain Celery worker process; by default with the work of `support.fake_app`.

        *before* are words put before the command (`unshare`, `prlimit`), *more* behind it;
        *queue_names* are the queues of an app that is not ours.
        """
        (self.folder / "fake").mkdir(exist_ok=True)
        served = ",".join(queue for priority, queue in QUEUES.items() if priority in queues)
        return self.start(
            *(*before, sys.executable, "-m", "celery", "-A", app, "worker", "-P", "threads"),
            *("-c", str(slots), "-Q", queue_names or served, "-n", f"{name}@%h", "-l", "INFO"),
            *("--without-gossip", "--without-mingle", *more),
            name=name,
            B2JOBS_QUEUES=queues,
            **env,
        )

    def keys(self) -> set[str]:
        """Every key of this installation in Redis, without its prefix."""
        found = self.redis.scan_iter(match=f"{self.key_prefix}*", count=1000)
        return {str(key).removeprefix(self.key_prefix) for key in found}

    def leftovers(self) -> set[str]:
        """Keys that no ended job needs: none, once every job has ended and workers are gone.

        What is meant to stay: the records, their results, the shelves that list them, and
        what Celery keeps to know its queues.
        """
        meant = (
            "b2jobs:job:",
            "b2jobs:key:",
            "b2jobs:worker:",
            "b2jobs:numbers:",
            "celery-task-meta-",
            "_kombu.binding",
        )
        named = {f"b2jobs:{name}" for name in ("succeeded", "failed", "cancelled", "batches")}
        living = {
            f"b2jobs:{name}"
            for name in ("workers", "keeper", "retention", "events", "used", "limits")
        }
        return {
            key for key in self.keys() if not key.startswith(meant) and key not in named | living
        }

    def close(self) -> None:
        for process in self.workers:
            if process.status is None:
                process.signal(signal.SIGCONT)
                kill_tree(process)
        keys = [f"{self.key_prefix}{key}" for key in self.keys()]
        for start in range(0, len(keys), 1000):
            self.redis.unlink(*keys[start : start + 1000])
