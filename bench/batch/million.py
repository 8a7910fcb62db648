"""How many items a second planning and the ledger can do, and what memory that takes.

python -m bench.batch.million --items 1000000 --processes 2
python -m bench.batch.million --items 100000 --batches 100      as many batches at a time

Uploads are accepted at once (`bench.batch.instant`). Peak memory of Redis is its own
`used_memory_peak`, of the workers VmHWM; both with and without what they had at the start.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.measures import cpu_seconds, memory_bytes

from support.installation import Installation
from support.redis_server import RedisServer
from support.waiting import eventually


def measure(
    folder: Path, items: int, processes: int, slots: int, batches: int
) -> dict[str, object]:
    server = RedisServer(folder / "redis", appendonly=True)
    (folder / "i").mkdir()
    installation = Installation(
        folder / "i", server.url, key_prefix="", settings={"B2JOBS_LEASE_SECONDS": "15"}
    )
    try:
        records = installation.client.records
        workers = [
            installation.start_celery(
                f"w{at}",
                app="bench.batch.instant",
                slots=slots,
                PYTHONPATH=f"{ROOT / 'tests'}:{ROOT}",
            )
            for at in range(processes)
        ]
        eventually(lambda: records.redis.zcard(f"{records.prefix}workers") == processes, timeout=60)
        redis = server.client()
        empty = int(redis.info("memory")["used_memory"])
        idle = [memory_bytes(worker.pid, "VmRSS") for worker in workers]
        before = [cpu_seconds(p.pid) for p in (*workers, server.process)]
        began = time.monotonic()
        each = items // batches
        asked = [
            installation.client.batch(f"data://bench/{each}/", f"b2://bench-bucket/{n}/")
            for n in range(batches)
        ]
        batch = asked[0]
        most_under_way = 0
        while records.counts()["succeeded"] < batches:
            most_under_way = max(
                most_under_way, records.redis.zcard(f"{records.prefix}batch:{batch.id}:packs")
            )
            time.sleep(0.2)
        seconds = time.monotonic() - began
        used = [
            cpu_seconds(p.pid) - was
            for p, was in zip((*workers, server.process), before, strict=True)
        ]
        now = batch.status()
        assert now.outcomes == {"transferred": each}, now
        memory = redis.info("memory")
        return {
            "items": items,
            "batches": batches,
            "processes": processes,
            "seconds": round(seconds, 1),
            "items_per_second": round(items / seconds),
            "cpu_microseconds_per_item_workers": round(1e6 * sum(used[:-1]) / items),
            "cpu_microseconds_per_item_redis": round(1e6 * used[-1] / items),
            "packs": now.packs,
            "most_packs_under_way": most_under_way,
            "worker_idle_mib": [round(value / 2**20) for value in idle],
            "worker_peak_mib": [round(memory_bytes(w.pid, "VmHWM") / 2**20) for w in workers],
            "redis_peak_mib": round((memory["used_memory_peak"] - empty) / 2**20, 1),
            "redis_at_end_mib": round((memory["used_memory"] - empty) / 2**20, 1),
            "ledger_bytes_per_item": round(now.ledger_bytes / each, 1),
            "redis_bytes_per_finished_item": round((memory["used_memory"] - empty) / items, 1),
            "load_average": os.getloadavg()[0],
        }
    finally:
        installation.close()
        server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--batches", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="b2jobs-bench-") as place:
        found = measure(Path(place), given.items, given.processes, given.slots, given.batches)
    print(json.dumps(found, indent=1))
