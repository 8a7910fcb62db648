"""The Celery tasks of this worker: which work answers which kind of job."""

from __future__ import annotations

from b2jobs_worker import transfer
from b2jobs_worker.celery_app import app
from b2jobs_worker.delivery.deliver import Work
from b2jobs_worker.handlers.register import register
from b2jobs_worker.handlers.transfers import TransferWork

WORK: dict[str, Work] = dict.fromkeys(transfer.RUN, TransferWork())

register(app, WORK)
