"""Single jobs next to plain Celery tasks: from submit to start, and 1 KiB uploads a second.

python -m bench.delivery.single [--jobs 2000] [--rounds 3]

Both have two workers that are up, with 16 slots each, one Redis with its file, and the local
B2 in memory. The plain task calls b2sdk's `Bucket.upload_local_file`; it promises nothing
when its worker dies. In turns in one run; prints one JSON object a line.
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

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.measures import BUCKET, environment
from bench.plain_celery import PlainCelery

from support.emulator import LocalB2
from support.installation import Installation
from support.redis_server import RedisServer
from support.waiting import eventually

STARTS = 200


class Stage:
    """The local B2, one Redis, our two workers and Celery's two."""

    def __init__(self, folder: Path) -> None:
        self.b2 = LocalB2(folder / "b2", "--memory", "--journal", "1000")
        self.redis = RedisServer(folder / "redis", appendonly=True)
        self.ours = Installation(folder / "ours", self.redis.url, account=self.b2.account)
        (self.ours.data / "file").write_bytes(os.urandom(1024))
        for at in range(2):
            self.ours.start_celery(f"w{at}", app="b2jobs_worker.celery.app", slots=16)
        self.ours.client.bucket("create", BUCKET).wait(60)
        self.plain = PlainCelery(
            folder, self.redis.url.replace("/0", "/1"), environment(self.b2.account, folder)
        )
        self.upload_plain(20)
        self.upload_ours(20)

    def close(self) -> None:
        self.plain.close()
        self.ours.close()
        self.redis.close()
        self.b2.close()

    def upload_ours(self, jobs: int) -> None:
        records = self.ours.client.records
        before = records.counts()["succeeded"]
        for at in range(jobs):
            self.ours.client.upload("data://.my/file", f"b2://{BUCKET}/ours/{at}")
        eventually(lambda: records.counts()["succeeded"] == before + jobs, timeout=600)

    def upload_plain(self, jobs: int) -> None:
        path = str(self.ours.data / "file")
        self.plain.run([("bench.upload", path, f"plain/{at}") for at in range(jobs)])

    def start_ours(self) -> float:
        """Seconds from the call of `upload` to the claim, on idle workers."""
        began = time.time()
        job = self.ours.client.upload("data://.my/file", f"b2://{BUCKET}/start")
        job.wait(60)
        started = job.record().started
        assert started is not None
        return started.timestamp() - began

    def start_plain(self) -> float:
        """Seconds from `send_task` to the task's first line, on idle workers."""
        began = time.time()
        self.plain.app.send_task("bench.note")
        _, started = self.plain.redis.blpop("bench:started", 60)
        return float(started) - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="b2jobs-bench-") as folder:
        stage = Stage(Path(folder))
        try:
            starts: dict[str, list[float]] = {"b2jobs": [], "plain Celery task": []}
            for _ in range(STARTS):
                starts["b2jobs"].append(stage.start_ours())
                starts["plain Celery task"].append(stage.start_plain())
            for name, seconds in starts.items():
                seconds.sort()
                line = {
                    "what": "submit to start, ms",
                    "program": name,
                    "median": round(1000 * statistics.median(seconds), 1),
                    "95 of 100 within": round(1000 * seconds[int(0.95 * len(seconds))], 1),
                    "worst": round(1000 * seconds[-1], 1),
                }
                print(json.dumps(line), flush=True)
            programs = {"b2jobs": stage.upload_ours, "plain Celery task": stage.upload_plain}
            rates: dict[str, list[float]] = {}
            for _ in range(given.rounds):
                for name, run in programs.items():
                    began = time.monotonic()
                    run(given.jobs)
                    rates.setdefault(name, []).append(given.jobs / (time.monotonic() - began))
            for name, found in rates.items():
                line = {
                    "what": "1 KiB uploads a second",
                    "program": name,
                    "median": round(statistics.median(found)),
                    "all": [round(each) for each in found],
                }
                print(json.dumps(line), flush=True)
        finally:
            stage.close()


if __name__ == "__main__":
    main()
