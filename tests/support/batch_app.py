"""A Celery app with batches whose uploads are played: for tests of planner and packs alone.

The source's last name is the script: `die` ends the process, `later` fails for now until the
third attempt, `bug` raises something unforeseen, `bad` cannot be done, `hold` works until there is
a file `let-go` in `FAKE_FOLDER`, anything else is accepted.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from b2jobs.errors import CallerError, PassingError
from b2jobs.requests import Job, Upload
from b2jobs.results import Result, TransferResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.feed import Feed
from b2jobs_worker.batch.pack.work import PackWork
from b2jobs_worker.batch.plan.feed import FeedPlan
from b2jobs_worker.batch.planner.work import PlannerWork
from b2jobs_worker.celery.app import make_app
from b2jobs_worker.celery.task import register
from b2jobs_worker.resources import store
from b2jobs_worker.settings import current
from b2jobs_worker.work import Work

tries: Counter[str] = Counter()


class PlayedUpload(Work[Upload]):
    """Played."""

    def run(self, request: Upload, attempt: Attempt) -> Result:
        tries[attempt.job_id] += 1
        match request.source.rpartition("/")[2]:
            case "die":
                os._exit(3)
            case "bug":
                raise ZeroDivisionError("a bug")
            case "bad":
                raise CallerError("source_missing", "asked to fail")
            case "hold":
                while not (Path(os.environ["FAKE_FOLDER"]) / "let-go").exists():
                    attempt.checkpoint()
                    time.sleep(0.05)
            case "later" if tries[attempt.job_id] < 3:
                raise PassingError("not_yet", "asked to fail")
        return TransferResult(file_id=f"id-{attempt.job_id}", size=1, sha1="0" * 40)


def plan_feed(request: Job, attempt: Attempt) -> FeedPlan:
    return FeedPlan(Feed(store().records, attempt.job_id, attempt.permit.producer))


app = make_app(current())
app.main = __name__
app.conf.include = []
register(
    app,
    {
        "batch": PlannerWork(plan_feed, store),
        "pack": PackWork({"upload": PlayedUpload()}, store),
    },
)
