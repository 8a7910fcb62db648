"""A batch that is submitted a second time: asking file by file, listing, and a sync, in turns.

python -m bench.batch.again [--files 10000] [--rounds 3]

All files are there already, 1 KiB each. Calls are those of the local B2's journal. Asking is how
it was before plans were listed ahead: an item that says `if_exists` itself, in a batch that says
nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.emulator import LocalB2
from support.installation import Installation
from support.redis_server import RedisServer

BUCKET = "bench-bucket"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        emulator = LocalB2(folder / "b2", "--no-md5", "--bucket", BUCKET)
        redis = RedisServer(folder / "redis")
        (folder / "i").mkdir()
        ours = Installation(folder / "i", redis.url, account=emulator.account)
        names = [f"d{number % 20}/{number}.bin" for number in range(given.files)]
        for file in names:
            path = ours.data / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.encode() * 64)
        try:
            for at in range(2):
                ours.start_celery(f"w{at}", app="b2jobs_worker.celery.app", slots=8)
            run(ours, emulator, names, given.rounds)
        finally:
            ours.close()
            redis.close()
            emulator.close()


def run(ours: Installation, emulator: LocalB2, names: list[str], rounds: int) -> None:
    source, destination = "data://.my/", f"b2://{BUCKET}/in/"
    items: list[dict[str, Any]] = [
        {"source": f"{source}{name}", "destination": f"{destination}{name}"} for name in names
    ]
    asking = [{**item, "if_exists": "skip"} for item in items]
    client = ours.client
    client.batch(source, destination).wait(600)
    ways: dict[str, Callable[[], Any]] = {
        "asking": lambda: client.batch_items(asking),
        "listing, items": lambda: client.batch_items(items, if_exists="skip"),
        "listing, prefix": lambda: client.batch(source, destination, if_exists="skip"),
        "sync": lambda: client.sync(source, destination),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, submit in ways.items():
            emulator.admin("POST", "journal/clear")
            began = time.monotonic()
            submit().wait(600)
            seconds[name].append(time.monotonic() - began)
            counted = emulator.faults.counters()
            print(
                f"{name:16}{seconds[name][-1]:7.2f} s  {sum(counted.calls.values()):6} calls",
                dict(counted.classes),
                flush=True,
            )
    for name, found in seconds.items():
        print(f"{name:16}{statistics.median(found):7.2f} s, the median of {rounds}")


if __name__ == "__main__":
    main()
