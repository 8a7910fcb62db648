"""Jobs a second that delivery alone can do: submit, claim, run nothing, note the result.

python -m bench.delivery.speed --jobs 5000 --pool threads --processes 2 --slots 8
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.measures import cpu_seconds, memory_bytes
from bench.recorded import ratio
from redis import Redis

from b2jobs import Upload
from support.fake import Fake
from support.installation import Installation
from support.redis_server import RedisServer
from support.waiting import eventually


def measure(folder: Path, jobs: int, pool: str, processes: int, slots: int) -> dict[str, object]:
    server = RedisServer(folder / "redis", appendonly=True)
    (folder / "i").mkdir()
    installation = Installation(folder / "i", server.url)
    try:
        fake = Fake(installation)
        records = installation.client.records
        workers = [
            installation.start_celery(
                f"w{i}",
                app="bench.delivery.nothing",
                pool=pool,
                slots=slots,
                PYTHONPATH=f"{Path(__file__).parents[2]}",
            )
            for i in range(processes)
        ]
        eventually(lambda: len(records.workers(within_seconds=3)) == processes, timeout=60)
        fake.submit().wait(30)
        ping = pings(records.redis)
        began, before_cpu = time.monotonic(), time.process_time()
        for _ in range(jobs):
            fake.submit()
        submitted, submitting = time.monotonic() - began, time.process_time() - before_cpu
        eventually(lambda: records.counts()["succeeded"] == jobs + 1, timeout=600)
        together = time.monotonic() - began
        for worker in workers:
            worker.freeze()
        watched = [*workers, server.process]
        redis_cpu, before_cpu = cpu_seconds(server.process.pid), time.process_time()
        began = time.monotonic()
        installation.client.submit_many(
            Upload(source="data://.my/x", destination="b2://some-bucket/x") for _ in range(jobs)
        )
        many, many_cpu = time.monotonic() - began, time.process_time() - before_cpu
        many_redis = cpu_seconds(server.process.pid) - redis_cpu
        before = [cpu_seconds(process.pid) for process in watched]
        for worker in workers:
            worker.thaw()
        began = time.monotonic()
        eventually(lambda: records.counts()["succeeded"] == 2 * jobs + 1, timeout=600)
        drained = time.monotonic() - began
        used = [cpu_seconds(p.pid) - was for p, was in zip(watched, before, strict=True)]
        return {
            "pool": pool,
            "processes": processes,
            "slots": slots,
            "jobs": jobs,
            "submitted_per_second": round(jobs / submitted),
            "submit_cpu_ms_per_job": round(1000 * submitting / jobs, 3),
            "submitted_together_per_second": round(jobs / many),
            "submit_many_cpu_ms_per_job": round(1000 * many_cpu / jobs, 3),
            "submit_many_redis_cpu_ms_per_job": round(1000 * many_redis / jobs, 3),
            "done_per_second_while_submitting": round(jobs / together),
            "done_per_second_from_a_full_queue": round(jobs / drained),
            "worker_cpu_ms_per_job": round(1000 * sum(used[:-1]) / jobs, 2),
            "redis_cpu_ms_per_job": round(1000 * used[-1] / jobs, 2),
            "ratios": {
                f"{jobs} jobs: {what}, to a PING by redis-py": ratio(taken, ping[peer])
                for what, taken, peer in (
                    ("seconds of submit", submitted / jobs, "seconds"),
                    ("CPU of submit", submitting / jobs, "cpu"),
                    ("CPU of submit_many", many_cpu / jobs, "cpu"),
                    ("seconds from a full queue", drained / jobs, "seconds"),
                    ("CPU of the workers", sum(used[:-1]) / jobs, "cpu"),
                    ("CPU of Redis", used[-1] / jobs, "cpu"),
                )
            },
            "worker_mb": [round(memory_bytes(worker.pid) / 1e6) for worker in workers],
        }
    finally:
        installation.close()
        server.close()


def pings(redis: Redis, count: int = 2000) -> dict[str, float]:
    """What one PING takes: the peer that jobs are measured by, on this machine at this time."""
    began, before = time.monotonic(), time.process_time()
    for _ in range(count):
        redis.ping()
    taken = time.process_time() - before
    return {"seconds": (time.monotonic() - began) / count, "cpu": taken / count}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=5000)
    options.add_argument("--pool", default="threads")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--slots", type=int, default=8)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.jobs, given.pool, given.processes, given.slots)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
