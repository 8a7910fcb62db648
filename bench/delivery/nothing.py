"""A Celery app whose uploads do nothing at all: what is left is delivery."""

from __future__ import annotations

from b2jobs.requests import Job
from b2jobs.results import Result, TransferResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.celery.app import make_app
from b2jobs_worker.celery.task import register
from b2jobs_worker.settings import current
from b2jobs_worker.work import Work


class Nothing(Work[Job]):
    def run(self, request: Job, attempt: Attempt) -> Result:
        del request
        attempt.guard()
        return TransferResult()


app = make_app(current())
app.main = __name__
app.conf.include = []
register(app, {"upload": Nothing()})
