"""Bytes from the producer next to a file on a root: seconds, and Redis's memory at its most.

python -m bench.delivery.staged [--rounds 3] [--most-mib 64] [--at-once 16]

One Redis with its file, the local B2, one worker of two processes. Each pair of numbers is
measured in turn: the same bytes as `bytes` and as `data://.my/...`, one job and several at
once, from the call of `upload` to the last result. Prints one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.measures import BUCKET, memory_bytes

from support.emulator import LocalB2
from support.installation import Installation
from support.redis_server import RedisServer

MIB = 1024 * 1024


class RedisMemory:
    """The most that Redis used while the context lasts, above what it used before."""

    def __init__(self, redis: RedisServer) -> None:
        self._client = redis.client()
        self._before = self._used()
        self.most_bytes = 0
        self._stop = threading.Event()

    def __enter__(self) -> RedisMemory:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _used(self) -> int:
        return int(self._client.info("memory")["used_memory"])

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.most_bytes = max(self.most_bytes, self._used() - self._before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most-mib", type=int, default=64)
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="b2jobs-bench-") as name:
        folder = Path(name)
        b2 = LocalB2(folder / "b2")
        redis = RedisServer(folder / "redis", appendonly=True)
        ours = Installation(folder / "ours", redis.url, account=b2.account)
        try:
            ours.start_worker(B2JOBS_PROCESSES="2", B2JOBS_RESERVED_SLOTS="0")
            ours.client.bucket("create", BUCKET).wait(60)
            for mib in (1, 10, 64):
                for jobs in (1, given.at_once):
                    if mib <= given.most_mib:
                        compare(ours, redis, mib * MIB, jobs, given.rounds)
        finally:
            ours.close()
            redis.close()
            b2.close()


def compare(ours: Installation, redis: RedisServer, size: int, jobs: int, rounds: int) -> None:
    content = os.urandom(size)
    (ours.data / "file").write_bytes(content)
    ways: dict[str, bytes | str] = {"bytes": content, "file": "data://.my/file"}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    handed: list[float] = []
    most = 0
    for _ in range(rounds):
        for way, source in ways.items():
            with RedisMemory(redis) as memory:
                took, calls = run(ours, source, jobs)
            seconds[way].append(took)
            if way == "bytes":
                handed += calls
                most = max(most, memory.most_bytes)
    ours.client.delete(f"b2://{BUCKET}/x/", versions="all").wait(600)
    staged, file = (statistics.median(seconds[way]) for way in ways)
    said = {
        "mib": size // MIB,
        "at_once": jobs,
        "bytes_seconds": round(staged, 3),
        "file_seconds": round(file, 3),
        "ratio": round(staged / file, 2),
        "upload_call_seconds": round(statistics.median(handed), 3),
        "redis_most_mib": round(most / MIB, 1),
        "redis_resident_mib": round(memory_bytes(redis.process.pid, "VmHWM") / MIB),
        "producer_resident_mib": round(memory_bytes(os.getpid(), "VmHWM") / MIB),
    }
    print(json.dumps(said), flush=True)


def run(ours: Installation, source: bytes | str, jobs: int) -> tuple[float, list[float]]:
    """Seconds from the first call to the last result, and of each call."""

    def one(number: int) -> float:
        began = time.monotonic()
        handle = ours.client.upload(source, f"b2://{BUCKET}/x/{number}")
        called = time.monotonic() - began
        handle.wait(600)
        return called

    began = time.monotonic()
    with ThreadPoolExecutor(jobs) as threads:
        calls = list(threads.map(one, range(jobs)))
    return time.monotonic() - began, calls


if __name__ == "__main__":
    main()
