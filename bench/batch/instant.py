"""A worker whose uploads are accepted at once: what planning, packs and the ledger cost alone.

The plan has as many items as the batch's source names: `data://bench/N/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from b2jobs.items import Item, Planned
from b2jobs.requests import Batch, Job, Upload
from b2jobs.results import Result, TransferResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.pack.work import PackWork
from b2jobs_worker.batch.plan.source import Forecast
from b2jobs_worker.batch.planner.work import PlannerWork
from b2jobs_worker.celery.app import make_app
from b2jobs_worker.celery.task import register
from b2jobs_worker.resources import store
from b2jobs_worker.settings import current
from b2jobs_worker.work import Work


class InstantUpload(Work[Upload]):
    """Played: answers like B2, with ids as long and as random."""

    def run(self, request: Upload, attempt: Attempt) -> Result:
        name = request.destination.partition("/")[2].partition("/")[2].partition("/")[2]
        digest = hashlib.sha1(attempt.job_id.encode()).hexdigest()
        return TransferResult.model_construct(
            job=attempt.job_id,
            kind="upload",
            url=f"https://f000.backblazeb2.com/file/bench-bucket/{name}",
            file_id=f"4_z27c88f1d182b150646ff0b16_f1{digest[:14]}_d20261122_m{digest[20:26]}"
            f"_c001_v0001400_t00{ord(digest[30]) % 60:02}_u0179000{int(digest[32:38], 16):08}",
            bucket="bench-bucket",
            name=name,
            size=16_384,
            sha1=digest,
            status="transferred",
            calls={"a": 1, "b": 0, "c": 0},
            dollars=0.0,
            not_carried=[],  # its default would be looked up in ways that cost more than the item
        )


class Numbers:
    """A plan of N items that costs nothing to read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def forecast(self) -> Forecast:
        return Forecast(items=self.count, size_bytes=16_384 * self.count)

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        for at in range(int(cursor or 0), self.count):
            name = f"photos/2026/{at // 1000:06}/IMG_{at:09}.jpg"
            yield (
                str(at + 1),
                Item("upload", f"data://nas/{name}", f"b2://bench-bucket/{name}", 16_384),
            )


def make(request: Job, attempt: Attempt) -> Numbers:
    del attempt
    assert isinstance(request, Batch)
    return Numbers(int(Path(request.source or "").name))


app = make_app(current())
app.main = __name__
app.conf.include = []
register(
    app,
    {
        "batch": PlannerWork(make, store),
        "pack": PackWork({"upload": InstantUpload()}, store),
    },
)
