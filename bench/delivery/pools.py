"""Threads or prefork: the same eight slots, the same work, in turns.

python -m bench.delivery.pools [--rounds 3] [--files 2000]

One worker of each pool in turn: memory of its processes before and after, a 1 GiB upload, a
batch of 16 KiB files (packs run their items at once inside one slot), eight single uploads
of 64 MiB at a time, and from `cancel` to the end of a running upload. Prints one JSON object
a pool, medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.measures import BUCKET, cpu_seconds, memory_bytes

from support.emulator import LocalB2
from support.installation import Installation
from support.processes import Process, children
from support.redis_server import RedisServer
from support.waiting import eventually

MIB = 1024 * 1024


def tree(worker: Process) -> list[int]:
    return [worker.pid, *children(worker.pid)]


def memory_mib(worker: Process) -> int:
    """Resident memory of the worker's processes; pages they share count in each."""
    return sum(memory_bytes(pid) for pid in tree(worker)) // MIB


class Round:
    """One worker of one pool, and what it is asked to do."""

    def __init__(self, here: Installation, b2: LocalB2, pool: str, prefix: str) -> None:
        self.here, self.b2, self.prefix = here, b2, f"b2://{BUCKET}/{prefix}"
        self.worker = here.start_celery(
            pool, app="b2jobs_worker.celery.app", pool=pool, slots=8, B2JOBS_GRACE_SECONDS="2"
        )
        here.client.check().wait(60)

    def run(self, files: int) -> dict[str, float]:
        found: dict[str, float] = {"idle_mib": memory_mib(self.worker)}
        client = self.here.client
        used = sum(map(cpu_seconds, tree(self.worker)))
        began = time.monotonic()
        client.upload("data://.my/large", f"{self.prefix}/large").wait(300)
        found["large_seconds"] = time.monotonic() - began
        began = time.monotonic()
        done = client.batch("data://.my/small/", f"{self.prefix}/small/").wait(timeout=600)
        assert done.outcomes == {"transferred": files}
        found["batch_seconds"] = time.monotonic() - began
        began = time.monotonic()
        jobs = [
            client.upload("data://.my/middle", f"{self.prefix}/middle{at}", priority="low")
            for at in range(8)
        ]
        for job in jobs:
            job.wait(300)
        found["eight_at_a_time_seconds"] = time.monotonic() - began
        found["cpu_seconds"] = sum(map(cpu_seconds, tree(self.worker))) - used
        found["busy_mib"] = memory_mib(self.worker)
        found["cancel_seconds"] = self.cancelled()
        assert self.worker.stop() == 0
        return found

    def cancelled(self) -> float:
        self.b2.faults.fault("bandwidth", bytes=100_000)
        job = self.here.client.upload("data://.my/large", f"{self.prefix}/never")
        eventually(lambda: job.progress() is not None and job.state() == "running")
        began = time.monotonic()
        job.cancel()
        eventually(lambda: job.state() == "cancelled")
        self.b2.faults.clear_faults()
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=2000)
    given = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="b2jobs-bench-") as place:
        folder = Path(place)
        b2 = LocalB2(folder / "b2", "--data", str(folder / "b2" / "data"))
        redis = RedisServer(folder / "redis", appendonly=True)
        here = Installation(folder / "i", redis.url, account=b2.account)
        try:
            (here.data / "large").write_bytes(os.urandom(1024 * MIB))
            (here.data / "middle").write_bytes(os.urandom(64 * MIB))
            (here.data / "small").mkdir()
            for at in range(given.files):
                (here.data / "small" / f"{at}").write_bytes(os.urandom(16_384))
            for round_ in range(given.rounds):
                for pool in ("threads", "prefork"):
                    if round_ == 0 and pool == "threads":
                        first = here.start_celery("first", app="b2jobs_worker.celery.app")
                        here.client.bucket("create", BUCKET).wait(60)
                        first.stop()
                    run = Round(here, b2, pool, f"{pool}{round_}").run(given.files)
                    found.setdefault(pool, []).append(run)
        finally:
            here.close()
            redis.close()
            b2.close()
    for pool, runs in found.items():
        medians = {name: round(statistics.median(r[name] for r in runs), 2) for name in runs[0]}
        print(json.dumps({"pool": pool, "rounds": given.rounds, **medians}))


if __name__ == "__main__":
    main()
