"""Small jobs flow while one of two workers is killed and started again, over and over.

    python -m bench.delivery.soak                      10,000 jobs, 20 kills
    python -m bench.delivery.soak --minutes 60         for an hour, a kill every 15 s

Prints one JSON object: how many jobs were lost, done twice, started twice, and how long jobs
of a killed worker took to run elsewhere. Exits with 1 when any was lost or done twice.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.fake import Event, Fake
from support.installation import Installation
from support.processes import children, kill_tree
from support.redis_server import RedisServer
from support.waiting import eventually


class Soak:
    """Two workers, a producer in a thread that keeps the queue from running dry, kills."""

    def __init__(self, fake: Fake, slots: int) -> None:
        self.fake, self.slots = fake, slots
        self.counts = fake.installation.client.records.counts
        self.ids: list[str] = []
        self.done = threading.Event()
        self.killed_at: dict[int, float] = {}

    def produce(self, jobs: int | None) -> None:
        """Submit as fast as the workers can take: the queue stays short, and never empty."""
        while not self.done.is_set() and (jobs is None or len(self.ids) < jobs):
            if self.counts()["queued"] > 200:
                time.sleep(0.05)
                continue
            for _ in range(100):
                self.ids.append(self.fake.submit(sleep=random.choice((0, 0, 0, 0.05))).id)

    def run(
        self, jobs: int | None, kills: int, pause: float, minutes: float | None
    ) -> dict[str, object]:
        producer = threading.Thread(target=self.produce, args=(jobs,))
        start = self.fake.installation.start_celery
        workers = [start(f"w{i}", slots=self.slots) for i in range(2)]
        began = time.monotonic()
        producer.start()
        kill = 0
        while kill < kills if minutes is None else time.monotonic() < began + 60 * minutes:
            before = self.counts()["succeeded"]
            eventually(lambda before=before: self.counts()["succeeded"] > before + 20, timeout=300)
            time.sleep(random.uniform(0.5, 1.5) * pause)
            dying = [workers[kill % 2].pid, *children(workers[kill % 2].pid)]
            kill_tree(workers[kill % 2])
            self.killed_at |= dict.fromkeys(dying, time.time())
            workers[kill % 2] = start(f"w{kill % 2}-{kill}", slots=self.slots)
            kill += 1
        if minutes is not None:
            self.done.set()
        producer.join()
        last = time.monotonic()
        eventually(self.is_quiet, timeout=600, what=lambda: str(self.counts()))
        drained = time.monotonic() - last
        seconds = time.monotonic() - began
        for worker in workers:
            worker.stop()
        return self.report() | {
            "kills": kill,
            "seconds": round(seconds),
            "drained_seconds": round(drained, 1),
        }

    def is_quiet(self) -> bool:
        counts = self.counts()
        return not counts["queued"] + counts["running"] + counts["waiting"]

    def report(self) -> dict[str, object]:
        versions, starts = self.fake.versions(), Counter(e.job for e in self.fake.events("start"))
        states = Counter(self.fake.installation.client.job(job).state() for job in self.ids)
        again = self.recoveries()
        return {
            "jobs": len(self.ids),
            "states": dict(states),
            "lost": sum(1 for job in self.ids if not versions[job]),
            "doubled": sum(1 for job in self.ids if versions[job] > 1),
            "started_twice": sum(1 for count in starts.values() if count > 1),
            "recovered": len(again),
            "recovery_median_seconds": round(statistics.median(again), 1) if again else None,
            "recovery_worst_seconds": round(max(again), 1) if again else None,
            "left_in_redis": sorted(self.fake.installation.leftovers()),
            "left_unfinished": len(self.fake.unfinished()),
        }

    def recoveries(self) -> list[float]:
        """From the kill of the process that ran a job to the job's next start."""
        found = []
        before: dict[str, Event] = {}
        for event in self.fake.events("start"):
            earlier = before.get(event.job)
            if earlier is not None and earlier.pid in self.killed_at:
                found.append(event.at - self.killed_at[earlier.pid])
            before[event.job] = event
        return found


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--minutes", type=float)
    options.add_argument("--pause", type=float, default=1.0, help="seconds between kills, about")
    options.add_argument("--slots", type=int, default=8)
    options.add_argument("--lease", type=float, default=15.0)
    given = options.parse_args()
    pause = 15.0 if given.minutes and given.pause == 1.0 else given.pause
    with tempfile.TemporaryDirectory(prefix="b2jobs-soak-") as folder:
        server = RedisServer(Path(folder) / "redis", appendonly=True)
        (Path(folder) / "i").mkdir()
        installation = Installation(
            Path(folder) / "i", server.url, settings={"B2JOBS_LEASE_SECONDS": str(given.lease)}
        )
        try:
            soak = Soak(Fake(installation), given.slots)
            jobs = None if given.minutes else given.jobs
            found = soak.run(jobs, given.kills, pause, given.minutes)
        finally:
            installation.close()
            server.close()
    print(json.dumps(found))
    return 1 if found["lost"] or found["doubled"] or found["left_in_redis"] else 0


if __name__ == "__main__":
    sys.exit(main())
