"""Two plain Celery workers with sixteen threads each, that are up: the tasks a team would write.

Their tasks are in `bench/one_task_a_file.py`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench.measures import BUCKET, cpu_seconds, memory_bytes
from celery import Celery
from redis import Redis

from support.processes import Process
from support.waiting import eventually

ROOT = Path(__file__).parents[1]


class PlainCelery:
    """Takes the URL of a Redis database of its own."""

    def __init__(self, folder: Path, redis_url: str, environment: dict[str, str]) -> None:
        self.redis = Redis.from_url(redis_url)
        self.app = Celery(broker=redis_url, set_as_current=False)
        self._workers = [
            Process(
                [sys.executable, "-m", "celery", "-A", "bench.one_task_a_file", "worker"]
                + ["-P", "threads", "-c", "16", "-n", f"c{at}@%h", "-l", "WARNING"]
                + ["--without-gossip", "--without-mingle"],
                log=folder / f"c{at}.log",
                env={
                    **environment,
                    "PYTHONPATH": str(ROOT),
                    "BENCH_REDIS": redis_url,
                    "BENCH_BUCKET": BUCKET,
                },
                cwd=ROOT,
            )
            for at in range(2)
        ]
        time.sleep(5)

    def run(self, work: list[tuple[str, ...]]) -> None:
        """Send a task for each of *work*, its name and arguments; until all have ended well."""
        self.redis.delete("bench:done")
        for task, *arguments in work:
            self.app.send_task(task, args=arguments)
        eventually(lambda: int(self.redis.get("bench:done") or 0) >= len(work), timeout=900)

    def cpu_seconds(self) -> float:
        """Of the workers."""
        return sum(cpu_seconds(worker.pid) for worker in self._workers)

    def peak_mib(self) -> int:
        """Of the larger worker, since it was started."""
        return max(memory_bytes(worker.pid, "VmHWM") for worker in self._workers) // 1024**2

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
