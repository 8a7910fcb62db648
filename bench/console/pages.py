"""How long each page of the console takes with 1,000,000 ended jobs and ten batches of 1,000,000.

    PYTHONPATH=tests python bench/console/pages.py [--jobs 1000000] [--items 1000000] [--batches 10]

Starts a Redis and a console of its own and ends them. The records are made inside Redis, as its
scripts would leave them; the ledgers are real segments of 500 lines, those of one batch for all.
Beside the time that passes it prints the console's own CPU time of a page: on a machine that does
other work too, that is what can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from b2jobs.ledger import packed_line, segment
from support.console import TOKENS, Browser, start
from support.installation import Installation
from support.redis_server import RedisServer

CHUNK, LINES, TIMES = 4_000, 500, 15
A_MINUTE = {
    "submitted|upload": 700, "job|upload|succeeded|": 680, "job|upload|failed|source_missing": 14,
    **{f"wait|upload|{n}": 70 for n in range(1, 11)}, "wait|upload|ms": 4000,
    **{f"run|upload|{n}": 70 for n in range(1, 11)}, "run|upload|ms": 90_000,
    **{f"bytes|default|{way}": 10**9 for way in ("up", "down")},
    **{f"calls|default|{name}": 700 for name in "abc"}, "again|backoff|timeout": 3,
    "nanodollars|default": 3_000_000,
}  # fmt: skip
JOBS = """
local P, first, count, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for n = first, first + count - 1 do
  local id = string.format('%08x-0000-4000-8000-%012x', n, n)
  local failed = n % 50 == 0
  local state = failed and 'failed' or 'succeeded'
  local ended = now - 86400 * (n / tonumber(ARGV[5]))
  redis.call('HSET', P .. 'job:' .. id, 'id', id, 'kind', 'upload', 'state', state,
    'reason', '', 'until', '', 'priority', 'normal', 'key', '', 'retry', '86400',
    'request', '{"source": "data://.my/' .. n .. '.jpg", "destination": "b2://b/' .. n .. '.jpg"}',
    'created', ended - 2, 'started', ended - 1, 'ended', ended, 'attempts', '1', 'lost', '0',
    failed and 'failure' or 'result', failed and
    '{"code": "source_missing", "message": "it is not there", "act": "caller", "attempts": 1}'
    or '{"job": "' .. id .. '", "kind": "upload", "size": 12345, "seconds": 0.4, "dollars": 0}')
  redis.call('ZADD', P .. state, ended, id)
end
"""


def fill(installation: Installation, jobs: int, batches: int, items: int) -> None:
    records = installation.client.records
    now = time.time()
    for first in range(0, jobs, CHUNK):
        records.redis.eval(JOBS, 0, records.prefix, first, min(CHUNK, jobs - first), now, jobs)
    pipe = records.redis.pipeline(transaction=False)
    for name, size, count in (("", 60, 61), ("hour:", 3600, 169), ("day:", 86400, 31)):
        for number in range(int(now // size) - count, int(now // size) + 1):
            pipe.hset(f"{records.prefix}numbers:{name}{number}", mapping=A_MINUTE)
    pipe.hset(f"{records.prefix}numbers:total", "folded", int(now // 60) - 1)
    pipe.execute()
    for b in range(batches):
        batch = f"bbbbbbbb-0000-4000-8000-{b:012}"
        failure = {"code": "items_failed", "message": "some", "act": "caller"}
        values = {
            "id": batch, "kind": "batch", "state": "failed", "priority": "low", "retry": "1",
            "request": json.dumps({"manifest": "data://.my/list.csv"}), "attempts": "3",
            "lost": "0", "created": now - 9000, "started": now - 8999, "ended": now - b,
            "failure": json.dumps(failure),
        }  # fmt: skip
        records.redis.hset(f"{records.prefix}job:{batch}", mapping=values)
        records.redis.zadd(f"{records.prefix}failed", {batch: now - b})
        records.redis.zadd(f"{records.prefix}batches", {batch: now + 86400 - b})
        counters = {
            "planned": items, "planned_all": 1, "n:transferred": items - items // 1000,
            "n:failed": items // 1000, "code:source_missing": items // 1000, "began": now - 8999,
            "ended": now - b, "moved_bytes": items * 1000, "packs": items // LINES,
        }  # fmt: skip
        records.redis.hset(f"{records.prefix}batch:{batch}", mapping=counters)
    for number in range(items // LINES):
        lines = (
            line(number * LINES + n, failed=(number * LINES + n) % 1000 == 0) for n in range(LINES)
        )
        packed = segment(lines)
        pipe = records.redis.pipeline(transaction=False)
        for b in range(batches):
            key = f"{records.prefix}batch:bbbbbbbb-0000-4000-8000-{b:012}:ledger"
            pipe.hset(key, str(number), packed)
        pipe.execute()


def line(n: int, *, failed: bool) -> str:
    names = [n, "upload", f"data://.my/photos/{n:09}.jpg", f"b2://bucket/photos/{n:09}.jpg"]
    if failed:
        code, said = "source_missing", f"data://.my/photos/{n:09}.jpg does not exist."
        return packed_line([*names, "failed", 0, "", "", "", 1, 3, code, said])
    made = [1000, f"{n:040x}", f"4_z{n:060x}", "", 1, 120]
    return packed_line([*names, "transferred", *made])


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--jobs", type=int, default=1_000_000)
    options.add_argument("--batches", type=int, default=10)
    options.add_argument("--items", type=int, default=1_000_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder) / "redis")
        installation = Installation(Path(folder), redis.url, key_prefix="")
        try:
            began = time.monotonic()
            fill(installation, given.jobs, given.batches, given.items)
            used = redis.client().info("memory")["used_memory_human"]
            print(f"filled in {time.monotonic() - began:.0f} s; Redis holds {used}", flush=True)
            process, url = start(installation, **TOKENS)
            measure(Browser(url).log_in(), given.jobs, process.pid)
        finally:
            installation.workers and installation.workers[-1].stop()
            redis.close()


def cpu_seconds(pid: int) -> float:
    """What a process and its threads have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(browser: Browser, jobs: int, pid: int) -> None:
    job = f"{jobs // 2:08x}-0000-4000-8000-{jobs // 2:012x}"
    batch = f"bbbbbbbb-0000-4000-8000-{0:012}"
    deep = f"0~{time.time() - 43200!r}~x"
    pages = {
        "overview": "/",
        "overview, 24 hours": "/?range=day",
        "overview, 7 days": "/?range=week",
        "overview, 31 days": "/?range=month",
        "ended jobs": "/jobs?view=ended",
        "ended jobs, from the middle": f"/jobs?view=ended&after={deep}",
        "failed jobs": "/jobs?view=failed",
        "a filter that finds": "/jobs?view=failed&code=source_missing",
        "a filter that finds nothing": "/jobs?view=ended&text=nowhere",
        "a job": f"/jobs/{job}",
        "batches": "/batches",
        "a batch": f"/batches/{batch}",
        "schedules": "/schedules",
        "workers": "/workers",
        "accounts": "/accounts",
        "words": "/words",
        "metrics": "/metrics",
    }
    for name, place in pages.items():
        taken, size, before = [], 0, cpu_seconds(pid)
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = browser.get(place)
            taken.append((time.perf_counter() - began) * 1000)
            assert answer.status == 200, (place, answer.status)
            size = len(answer.text)
        median, worst = statistics.median(taken), max(taken)
        cpu = (cpu_seconds(pid) - before) / TIMES * 1000
        print(
            f"{name:30} {median:7.1f} ms  worst {worst:7.1f} ms  CPU {cpu:6.1f} ms  "
            f"{size / 1024:6.1f} KiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
