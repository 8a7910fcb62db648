"""Transfers through the engine as a worker's slots use it, timed. One process or several.

    python -m bench.engine.ours up|down|copy --realm-file secrets.json --folder F --bucket B
        [--prefix P] [--processes 2] [--width 64]

Every process takes its share of the files below F (up), of the names below P (down, copy),
and runs them on one context as a pack does. Prints one line of JSON: seconds of wall and
CPU time, peak memory, calls by class.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import Any

from b2jobs.requests import Job, kinds
from b2jobs_worker import transfer
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.settings import Root, Settings


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=("up", "down", "copy"))
    options.add_argument("--secrets", type=Path, required=True)
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--bucket", required=True)
    options.add_argument("--prefix", default="bench/")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--profile", action="store_true")
    given = options.parse_args()
    settings = Settings(
        secrets_file=given.secrets,
        roots={"here": Root(url=f"file://{given.folder.resolve()}", access="read-write")},
    )
    context = transfer.build_context(settings, durable=False)
    requests = [kinds.build(*each) for each in plan(given, context)]
    processes = min(given.processes, len(requests))
    shares = [requests[index::processes] for index in range(processes)]
    gate = multiprocessing.Barrier(processes + 1)
    answers: multiprocessing.SimpleQueue[dict[str, Any]] = multiprocessing.SimpleQueue()
    workers = [
        multiprocessing.Process(target=work, args=(settings, share, gate, answers, given))
        for share in shares
    ]
    for worker in workers:
        worker.start()
    gate.wait()
    begun = time.perf_counter()
    found = [answers.get() for _ in workers]
    seconds = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    total = {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(sum(each["cpu"] for each in found), 3),
        "peak_mib": max(each["peak_mib"] for each in found),
        "calls": {key: sum(each["calls"][key] for each in found) for key in "abc"},
        "concurrency": [each["concurrency"] for each in found],
        "count": len(requests),
    }
    sys.stdout.write(json.dumps(total) + "\n")


def plan(given: argparse.Namespace, context: transfer.Context) -> list[tuple[str, dict[str, Any]]]:
    if given.what == "up":
        files = sorted(path for path in given.folder.rglob("*") if path.is_file())
        return [
            (
                "upload",
                {
                    "source": f"data://here/{path.relative_to(given.folder)}",
                    "destination": f"b2://{given.bucket}/{given.prefix}"
                    f"{path.relative_to(given.folder)}",
                },
            )
            for path in files
        ]
    client = context.client("default", DetachedAttempt())
    names: list[str] = []
    start: str | None = None
    while True:
        page, start = client.list_names(
            client.bucket(given.bucket), prefix=given.prefix, start=start
        )
        names += [version.name for version in page]
        if start is None:
            break
    if given.what == "down":
        return [
            (
                "download",
                {
                    "source": f"b2://{given.bucket}/{name}",
                    "destination": f"data://here/{name.removeprefix(given.prefix)}",
                },
            )
            for name in names
        ]
    return [
        (
            "copy",
            {
                "source": f"b2://{given.bucket}/{name}",
                "destination": f"b2://{given.bucket}/copies/{name}",
            },
        )
        for name in names
    ]


def work(
    settings: Settings,
    requests: list[Job],
    gate: Any,
    answers: Any,
    given: argparse.Namespace,
) -> None:
    context = transfer.build_context(settings, durable=False)
    # As in a worker that is up: its account is authorised, once for the process.
    context.client("default", DetachedAttempt()).account()
    calls = {"a": 0, "b": 0, "c": 0}
    gc.freeze()
    gate.wait()
    before = time.process_time()

    def one(numbered: tuple[int, Job]) -> None:
        number, request = numbered
        result = transfer.RUN[request.kind](request, DetachedAttempt(f"bench-{number}"), context)
        for key, count in result.calls.items():
            calls[key] += count

    def all_of_them() -> None:
        context.threads.each(one, enumerate(requests), width=given.width)

    if given.profile:
        import cProfile

        profiler = cProfile.Profile()
        given.width = 1
        profiler.runcall(lambda: [one(each) for each in enumerate(requests)])
        profiler.print_stats("tottime")
    elif len(requests) == 1:
        one((0, requests[0]))
    else:
        all_of_them()
    answers.put(
        {
            "cpu": time.process_time() - before,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "calls": calls,
            "concurrency": context.accounts.get("default").concurrency.limit,
        }
    )


if __name__ == "__main__":
    main()
