"""Syncs timed in turns: ours, `b2 sync`, `rclone sync --fast-list`, on the local B2.

    python bench/sync/speed.py [--files 20000] [--latency 0 30] [--rounds 3] [--cases noop ...]

Cases: `first` (everything is new), `noop` (nothing has changed), `changed` (1 % has). Ours
is measured from submitting to the result; the worker runs already, and has been asked once,
so that it is authorised. The others are whole processes. Prints one JSON line a measurement
and a table of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.emulator import LocalB2
from support.installation import Installation
from support.redis_server import RedisServer
from support.released import Released

LONG_AGO_NS = 1_700_000_000_000_000_000
FILE_BYTES = 1024


def fill(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"{number // 500:04}" / f"{number:07}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8, "big") * (FILE_BYTES // 8))
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


class Bench:
    def __init__(self, folder: Path, files: int) -> None:
        self.files = files
        self.b2 = LocalB2(folder / "b2", "--memory", "--journal", "1000")
        self.redis = RedisServer(folder / "redis")
        self.installation = Installation(
            folder / "installation", self.redis.url, account=self.b2.account
        )
        self.tools = Released(folder, self.b2, patience_seconds=3600)
        self.tree = self.installation.data / "tree"
        fill(self.tree, files)
        self.installation.start_worker(B2JOBS_PROCESSES="2", B2JOBS_RESERVED_SLOTS="0")
        self.installation.client.check().wait(60)

    def close(self) -> None:
        self.installation.close()
        self.redis.close()
        self.b2.close()

    def bucket(self) -> str:
        name = f"bench-{uuid.uuid4().hex[:12]}"
        self.installation.client.bucket("create", name).wait(60)
        return name

    def latency(self, millis: int) -> None:
        self.b2.admin("DELETE", "faults")
        if millis:
            rule = {"fault": "latency", "seconds": millis / 1000}
            self.b2.admin("POST", "faults", rule)

    def ours(self, bucket: str) -> None:
        handle = self.installation.client.sync(
            "data://.my/tree/", f"b2://{bucket}/", priority="normal"
        )
        handle.wait(3600)

    def b2_sync(self, bucket: str) -> None:
        self.tools.b2("sync", "--no-progress", str(self.tree), f"b2://{bucket}")

    def rclone(self, bucket: str) -> None:
        self.tools.rclone("sync", "--fast-list", str(self.tree), f"b2:{bucket}")

    def change(self, round_: int) -> None:
        """Touch and rewrite one file in a hundred."""
        later = LONG_AGO_NS + (round_ + 1) * 3600 * 10**9
        for number in range(0, self.files, 100):
            path = self.tree / f"{number // 500:04}" / f"{number:07}.bin"
            path.write_bytes(os.urandom(FILE_BYTES))
            os.utime(path, ns=(later, later))


def timed(act: Callable[[str], None], bucket: str) -> float:
    began = time.perf_counter()
    act(bucket)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--latency", type=int, nargs="+", default=[0, 30])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=["first", "noop", "changed"])
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-sync-"))
    bench = Bench(folder, given.files)
    found: dict[tuple[str, int, str], list[float]] = {}
    tools = {"b2jobs": bench.ours, "b2 sync": bench.b2_sync, "rclone": bench.rclone}
    changes = 0
    bucket = ""

    def note(case: str, latency: int, name: str, seconds: float) -> None:
        found.setdefault((case, latency, name), []).append(seconds)
        said = {"case": case, "latency_ms": latency, "tool": name, "seconds": round(seconds, 3)}
        print(json.dumps(said), flush=True)

    try:
        for latency in given.latency:
            bench.latency(0)
            if "first" in given.cases:
                bench.latency(latency)
                for name, act in tools.items():
                    note("first", latency, name, timed(act, bench.bucket()))
                bench.latency(0)
            if bucket == "":
                # All three compare with one bucket: each sees the others' files as its own.
                bucket = bench.bucket()
                note("filling", latency, "b2jobs", timed(bench.ours, bucket))
            bench.latency(latency)
            for case in ("noop", "changed"):
                for name, act in list(tools.items()) * (given.rounds if case in given.cases else 0):
                    if case == "changed":
                        bench.change(changes := changes + 1)
                    note(case, latency, name, timed(act, bucket))
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{given.files} files, medians in seconds; load {os.getloadavg()[0]:.1f}")
    for (case, latency, name), seconds in found.items():
        print(f"{case:8} {latency:3} ms  {name:8} {statistics.median(seconds):8.2f}")
    subprocess.run(["uptime"], check=False)


if __name__ == "__main__":
    main()
