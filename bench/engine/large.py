"""How near large files come to their line's bandwidth, up and down, over TLS, in how much memory.

    python -m bench.engine.large [--mib 256] [--jobs 1] [--lines 30:1000 150:100:256] [--rounds 3]
        [--parallel-parts N] [--memory-mib N] [--plain] [--sparse]

The line is `bench.line`, or `none`; the B2 is the local one, with a certificate of its own. A
share of 0.9 is nine tenths of the line's bandwidth, from the start of the transfers to the end of
the last, requests that move nothing included; TLS's own bytes count for nothing. `--sparse`: a file
of zeros and a B2 that keeps no bytes, for sizes that no disk has. Memory is that of the one process
in which all transfers run: at its most, and ten times on the way.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.line import Line, Relay
from bench.measures import BUCKET, memory_bytes

from b2jobs.requests import kinds
from b2jobs_worker import transfer
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.settings import Root, Settings
from support.emulator import LocalB2

_SAMPLES = 10


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--mib", type=int, default=256)
    options.add_argument("--jobs", type=int, default=1, help="files at once")
    options.add_argument("--lines", nargs="+", default=["30:1000", "150:100:256"])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--parallel-parts", type=int, default=0)
    options.add_argument("--memory-mib", type=int, default=0)
    options.add_argument("--plain", action="store_true", help="without TLS")
    options.add_argument("--sparse", action="store_true", help="zeros that nobody keeps")
    given = options.parse_args()
    where = "/dev/shm" if Path("/dev/shm").is_dir() and not given.sparse else None
    with tempfile.TemporaryDirectory(prefix="b2jobs-large-", dir=where) as name:
        folder = Path(name)
        kept = ["--memory", "--discard-bodies"] if given.sparse else ["--data", str(folder / "b")]
        b2 = LocalB2(folder / "b2", "--no-md5", "--bucket", BUCKET, *kept,
                     *([] if given.plain else ["--tls"]))  # fmt: skip
        try:
            with (folder / "large").open("wb") as file:
                for _ in range(0 if given.sparse else given.mib):
                    file.write(os.urandom(2**20))
                file.truncate(given.mib * 2**20)
            for text in given.lines:
                line = None if text == "none" else Line.parse(text)
                print(json.dumps({"line": str(line), **measure(folder, b2, line, given)}))
                sys.stdout.flush()
        finally:
            b2.close()


def measure(
    folder: Path, b2: LocalB2, line: Line | None, given: argparse.Namespace
) -> dict[str, object]:
    port = int(b2.realm.rpartition(":")[2])
    relay = None if line is None else Relay(line, port)
    port = port if relay is None else relay.port
    found: dict[str, dict[str, list[float]]] = {"up": {}, "down": {}}
    all_bytes = given.jobs * given.mib * 2**20
    try:
        context = _context(folder, b2, port, given)
        context.client("default", DetachedAttempt()).account()
        for round_ in range(given.rounds):
            for way, kind in (("up", "upload"), ("down", "download")):
                pairs = [_places(way, f"{port}-{round_}-{n}") for n in range(given.jobs)]
                with sampled() as memory:
                    began, used = time.monotonic(), time.process_time()
                    run(context, kind, pairs)
                    seconds = time.monotonic() - began
                    used = time.process_time() - used
                into = found[way]
                if line is not None:
                    share = all_bytes * 8 / seconds / line.bits_per_second
                    into.setdefault("share", []).append(round(share, 3))
                into.setdefault("MiB a second", []).append(round(all_bytes / seconds / 2**20, 1))
                into.setdefault("CPU ms a MiB", []).append(
                    round(1000 * used * 2**20 / all_bytes, 2)
                )
                into.setdefault("MiB at most", []).append(max(memory))
                step = max(1, len(memory) // _SAMPLES)
                into["MiB on the way"] = [*memory[::step], memory[-1]]
                sys.stderr.write(f"{way}, {seconds:.1f} s, MiB: {into['MiB on the way']}\n")
            for back in folder.glob("back-*"):
                back.unlink()
    finally:
        if relay is not None:
            relay.close()
    shares = {
        f"{way}: median share": statistics.median(numbers["share"])
        for way, numbers in found.items()
        if "share" in numbers
    }
    return {**shares, **found, "at once in the end": context.in_flight.came_to}


def _places(way: str, name: str) -> tuple[str, str]:
    there = f"b2://{BUCKET}/{name}"
    return ("data://here/large", there) if way == "up" else (there, f"data://here/back-{name}")


def run(context: transfer.Context, kind: str, pairs: list[tuple[str, str]]) -> None:
    """All of them at once, each in a thread, as the slots of a worker would."""

    def one(pair: tuple[str, str]) -> None:
        asked = kinds.build(kind, {"source": pair[0], "destination": pair[1]})
        transfer.RUN[kind](asked, DetachedAttempt(f"bench-{time.time_ns()}"), context)

    with ThreadPoolExecutor(len(pairs)) as slots:
        list(slots.map(one, pairs))


@contextmanager
def sampled() -> Iterator[list[int]]:
    """MiB of this process: before, then five times a second until the end."""
    found = [memory_bytes(os.getpid()) >> 20]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            found.append(memory_bytes(os.getpid()) >> 20)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        ended.set()
        looking.join()


def _context(folder: Path, b2: LocalB2, port: int, given: argparse.Namespace) -> transfer.Context:
    scheme = b2.realm.partition(":")[0]
    secrets = folder / "secrets.json"
    secrets.touch(mode=0o600)
    secrets.write_text(json.dumps({**b2.account, "realm": f"{scheme}://127.0.0.1:{port}"}))
    more = {"parallel_parts": given.parallel_parts} if given.parallel_parts else {}
    if given.memory_mib:
        more["parts_memory_mib"] = given.memory_mib
    settings = Settings(
        secrets_file=secrets,
        ca_file=b2.ready.get("ca_certificate"),
        roots={"here": Root(url=f"file://{folder}", access="read-write")},
        slots=max(8, given.jobs),
        **more,
    )
    return transfer.build_context(settings, durable=False)


if __name__ == "__main__":
    main()
