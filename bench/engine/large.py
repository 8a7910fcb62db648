"""How near one large file comes to the bandwidth of its line, up and down, over TLS.

    python -m bench.engine.large [--mib 256] [--lines 30:1000 150:100] [--rounds 3]
        [--parallel-parts 4] [--plain]

The line is `bench.line`; the B2 is the local one, with a certificate of its own. A share of 0.9
is nine tenths of the line's bandwidth, from the start of the transfer to its end, requests that
move nothing included; TLS's own bytes count for nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.line import Line, Relay
from bench.measures import BUCKET

from b2jobs.requests import kinds
from b2jobs_worker import transfer
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.settings import Root, Settings
from support.emulator import LocalB2


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--mib", type=int, default=256)
    options.add_argument("--lines", nargs="+", default=["30:1000", "150:100"])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--parallel-parts", type=int, default=0)
    options.add_argument("--plain", action="store_true", help="without TLS")
    given = options.parse_args()
    where = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="b2jobs-large-", dir=where) as name:
        folder = Path(name)
        b2 = LocalB2(folder / "b2", "--no-md5", "--bucket", BUCKET, "--data", str(folder / "kept"),
                     *([] if given.plain else ["--tls"]))  # fmt: skip
        try:
            with (folder / "large").open("wb") as file:
                for _ in range(given.mib):
                    file.write(os.urandom(2**20))
            for text in given.lines:
                line = Line.parse(text)
                print(json.dumps({"line": str(line), **measure(folder, b2, line, given)}))
        finally:
            b2.close()


def measure(folder: Path, b2: LocalB2, line: Line, given: argparse.Namespace) -> dict[str, object]:
    relay = Relay(line, int(b2.realm.rpartition(":")[2]))
    try:
        context = _context(folder, b2, relay.port, given)
        context.client("default", DetachedAttempt()).account()
        shares: dict[str, list[float]] = {"up": [], "down": []}
        cpu = dict.fromkeys(shares, 0.0)
        for round_ in range(given.rounds):
            there, back = f"b2://{BUCKET}/{relay.port}-{round_}", f"data://here/back-{round_}"
            for way, kind, source, destination in (
                ("up", "upload", "data://here/large", there),
                ("down", "download", there, back),
            ):
                asked = kinds.build(kind, {"source": source, "destination": destination})
                began, before = time.monotonic(), time.process_time()
                transfer.RUN[kind](asked, DetachedAttempt(f"bench-{time.time_ns()}"), context)
                seconds = time.monotonic() - began
                shares[way].append(given.mib * 2**20 * 8 / seconds / line.bits_per_second)
                cpu[way] += time.process_time() - before
            (folder / f"back-{round_}").unlink()
    finally:
        relay.close()
    return {
        **{
            f"{way}: share of the line": {
                "median": round(statistics.median(found), 3),
                "all": [round(each, 3) for each in found],
            }
            for way, found in shares.items()
        },
        "CPU ms a MiB": {
            way: round(1000 * used / given.mib / given.rounds, 2) for way, used in cpu.items()
        },
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _context(folder: Path, b2: LocalB2, port: int, given: argparse.Namespace) -> transfer.Context:
    scheme = b2.realm.partition(":")[0]
    secrets = folder / "secrets.json"
    secrets.touch(mode=0o600)
    secrets.write_text(json.dumps({**b2.account, "realm": f"{scheme}://127.0.0.1:{port}"}))
    more = {"parallel_parts": given.parallel_parts} if given.parallel_parts else {}
    settings = Settings(
        secrets_file=secrets,
        ca_file=b2.ready.get("ca_certificate"),
        roots={"here": Root(url=f"file://{folder}", access="read-write")},
        **more,
    )
    return transfer.build_context(settings, durable=False)


if __name__ == "__main__":
    main()
