"""Where the CPU of a small file goes, layer by layer; and what a pause of the line adds to it.

    python -m bench.engine.layers [--files 500] [--latency 0] [--tls]

One process moves files of 16 KiB as a pack does, one after the other under cProfile, then
64 at a time without it. A profiler makes calls of Python's own dearer than those of C: the
shares are where to look, the CPU below them is what it costs.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.measures import BUCKET

from b2emulator.admin import Admin
from b2jobs.requests import Job, kinds
from b2jobs_worker import transfer
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.settings import Root, Settings
from support.emulator import LocalB2

LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("requests and results (pydantic)", ("b2jobs/", "pydantic")),
    ("b2sdk", ("b2sdk/", "logfury")),
    ("our HTTP", ("b2jobs_worker/b2/http", "b2jobs_worker/b2/wire", "b2jobs_worker/b2/pool")),
    ("turns, meters, retries", ("b2jobs_worker/b2/",)),
    ("sources and sinks", ("b2jobs_worker/sources/",)),
    ("engine", ("b2jobs_worker/",)),
)
BUILT_IN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sockets and TLS", ("_socket", "_ssl", "select", "poll", "BufferedReader")),
    ("hashing", ("_hashlib", "HASH", "openssl_sha1")),
    ("files", ("posix", "FileIO", "io.open")),
    ("locks and threads", ("_thread", "RLock", "lock")),
    ("requests and results (pydantic)", ("pydantic",)),
)


def layer_of(file: str, function: str) -> str:
    found = BUILT_IN if file == "~" else LAYERS
    where = function if file == "~" else file
    return next((name for name, marks in found if any(m in where for m in marks)), "Python itself")


def profiled(act: Callable[[], None]) -> tuple[dict[str, float], int]:
    """The share of each layer in *act*, and how many functions it called."""
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(act)
    shares: Counter[str] = Counter()
    statistics = pstats.Stats(profiler)
    for (file, _, function), (_, _, own, *_) in statistics.stats.items():  # type: ignore[attr-defined]  # it is there
        shares[layer_of(file, function)] += own
    total = sum(shares.values())
    calls = int(statistics.total_calls)  # type: ignore[attr-defined]  # it is there
    return {name: round(own / total, 3) for name, own in shares.most_common()}, calls


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--files", type=int, default=500)
    options.add_argument("--latency", type=float, nargs="*", default=[0.0, 0.03])
    options.add_argument("--width", type=int, nargs="*", default=[1, 2, 8, 64], help="at a time")
    options.add_argument("--tls", action="store_true")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="b2jobs-layers-") as name:
        folder = Path(name)
        b2 = LocalB2(folder / "b2", "--bucket", BUCKET, *(["--tls"] if given.tls else []))
        try:
            found = measure(folder, b2, given)
        finally:
            b2.close()
    print(json.dumps(found, indent=1))


def measure(folder: Path, b2: LocalB2, given: argparse.Namespace) -> dict[str, object]:
    (folder / "data").mkdir()
    for number in range(given.files):
        (folder / f"data/{number}").write_bytes(number.to_bytes(4, "big") * 4096)
    secrets = folder / "secrets.json"
    secrets.touch(mode=0o600)
    secrets.write_text(json.dumps(b2.account))
    settings = Settings(
        secrets_file=secrets,
        ca_file=b2.ready.get("ca_certificate"),
        roots={"here": Root(url=f"file://{folder}", access="read-write")},
    )
    context = transfer.build_context(settings, durable=False)
    context.client("default", DetachedAttempt()).account()
    admin = Admin(b2.realm, ca_certificate=b2.ready.get("ca_certificate"))
    count = 0

    def requests(what: str) -> list[Job]:
        nonlocal count
        count += 1
        uploads = [
            {"source": f"data://here/data/{n}", "destination": f"b2://{BUCKET}/{n}"}
            for n in range(given.files)
        ]
        downloads = [
            {"source": f"b2://{BUCKET}/{n}", "destination": f"data://here/back{count}/{n}"}
            for n in range(given.files)
        ]
        return [kinds.build(what, each) for each in (uploads if what == "upload" else downloads)]

    def one(request: Job) -> None:
        transfer.RUN[request.kind](request, DetachedAttempt(f"bench-{time.time_ns()}"), context)

    found: dict[str, object] = {}
    for what in ("upload", "download"):
        each = requests(what)
        found[f"{what}: shares"], calls = profiled(
            lambda each=each: [one(r) for r in each] and None
        )
        found[f"{what}: calls of functions a file"] = round(calls / given.files)
        for latency in given.latency:
            if latency:
                admin.fault("latency", seconds=latency)
            for width in given.width:
                costs = []
                for _ in range(given.rounds):
                    each = requests(what)
                    before = time.process_time()
                    context.threads.each(one, each, width=width)
                    costs.append(1000 * (time.process_time() - before) / given.files)
                costs.sort()
                found[f"{what}: ms of CPU, {latency:g} s, {width} at a time"] = {
                    "least": round(costs[0], 3),
                    "median": round(costs[len(costs) // 2], 3),
                }
            admin.clear_faults()
    return found


if __name__ == "__main__":
    main()
