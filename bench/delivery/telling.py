"""What events, numbers and the outbox cost a job: CPU of Redis and of a worker, with and without.

python -m bench.delivery.telling --rounds 30 --jobs 200

Two installations, each with a Redis and a worker of its own. In one, the scripts' functions
`event`, `count` and `observe` return at once, and nothing looks for words. Blocks of jobs that do
nothing alternate between the two, and a third kind of block tells a Celery task of each end: what
else the machine does meets all three, so the ratios of one round say what its times do not.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.measures import cpu_seconds

from b2jobs.redis import door
from b2jobs.words import Words
from support.fake import Fake
from support.installation import Installation
from support.processes import Process
from support.redis_server import RedisServer
from support.waiting import eventually

_SILENCED = re.compile(r"^(local function (?:event|count|observe)\(.*\)\n)", re.MULTILINE)
_SHIPPED = door.script_text


def silent_text(name: str) -> str:
    """A script that tells nobody anything."""
    text = _SILENCED.sub(r"\1  if true then return end\n", _SHIPPED(name))
    text = text.replace("'key', 'tell', 'children'})", "'key'})")
    text = text.replace("job.children ~= '' and job.children", "nil")
    return text.replace("if job.tell ~= '' then", "if false then")


class Side:
    """One installation, and the CPU that its Redis and its worker have used."""

    def __init__(self, folder: Path, *, silent: bool) -> None:
        folder.mkdir()
        self._silent = silent
        self._server = RedisServer(folder / "redis", appendonly=True)
        self._installation = Installation(folder, self._server.url)
        self._fake = Fake(self._installation)
        module = "bench.delivery.silent" if silent else "bench.delivery.nothing"
        root = f"{Path(__file__).parents[2]}"
        self._worker: Process = self._installation.start_celery(
            "w", app=module, pool="threads", slots=8, PYTHONPATH=f"{root}:{root}/tests"
        )
        self._done = 0

    def block(self, jobs: int, *, told: bool = False) -> tuple[float, float]:
        """Milliseconds of CPU a job: Redis, worker."""
        client, records = self._installation.client, self._installation.client.records
        on_done = ("app.stored", "told") if told else None
        with self._scripts():
            redis, worker = self._redis_seconds(), cpu_seconds(self._worker.pid)
            for _ in range(jobs):
                client.upload("data://.my/x", "b2://some-bucket/x", on_done=on_done)
            self._done += jobs
            while records.counts()["succeeded"] < self._done:
                time.sleep(0.2)
            while told and Words(records).counts()["waiting"]:
                time.sleep(0.1)
            used = self._redis_seconds() - redis, cpu_seconds(self._worker.pid) - worker
        self._installation.redis.delete(f"{self._installation.key_prefix}told")
        return 1000 * used[0] / jobs, 1000 * used[1] / jobs

    def warm(self) -> None:
        with self._scripts():
            job = self._fake.submit()
            eventually(lambda: job.state() == "succeeded")
        self._done += 1

    def events(self) -> int:
        return int(self._installation.redis.xlen(f"{self._installation.key_prefix}b2jobs:events"))

    def close(self) -> None:
        self._installation.close()
        self._server.close()

    def _redis_seconds(self) -> float:
        found = self._installation.redis.info("cpu")
        return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])

    @contextmanager
    def _scripts(self) -> Iterator[None]:
        door.script_text = silent_text if self._silent else _SHIPPED  # type: ignore[assignment]
        try:
            yield
        finally:
            door.script_text = _SHIPPED


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--jobs", type=int, default=200)
    given = options.parse_args()
    rounds: list[dict[str, tuple[float, ...]]] = []
    with tempfile.TemporaryDirectory() as folder:
        told, silent = (Side(Path(folder) / name, silent=name == "s") for name in ("t", "s"))
        try:
            told.warm()
            silent.warm()
            for number in range(given.rounds):
                blocks = [
                    ("as it is", lambda: told.block(given.jobs)),
                    ("silent", lambda: silent.block(given.jobs)),
                    ("on_done", lambda: told.block(given.jobs, told=True)),
                ]
                turned = blocks[number % 3 :] + blocks[: number % 3]
                rounds.append({name: run() for name, run in turned})
            assert (told.events() > 0, silent.events()) == (True, 0), "each is what it is called"
        finally:
            told.close()
            silent.close()
    rounds = [{name: (*cpu, sum(cpu)) for name, cpu in each.items()} for each in rounds]
    for at, whose in enumerate(("redis", "worker", "both")):
        for name in ("as it is", "silent", "on_done"):
            cpu = [each[name][at] for each in rounds]
            print(json.dumps({"cpu_of": whose, "jobs": name, "ms_a_job": _spread(cpu)}))
        for name, other in (("as it is", "silent"), ("on_done", "as it is")):
            ratios = [each[name][at] / each[other][at] for each in rounds]
            print(json.dumps({"cpu_of": whose, "ratio": f"{name} / {other}", **_spread(ratios)}))


def _spread(values: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": round(middle, 3), "quarter": round(low, 3), "three_quarters": round(high, 3)}


if __name__ == "__main__":
    main()
