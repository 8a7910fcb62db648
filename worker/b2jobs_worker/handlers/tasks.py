"""The Celery tasks of this worker: which work answers which kind of job."""

from __future__ import annotations

from typing import Any

from b2jobs_worker import transfer
from b2jobs_worker.batch.pack.work import PackWork
from b2jobs_worker.batch.plan.make import make_plans
from b2jobs_worker.batch.planner.work import PlannerWork
from b2jobs_worker.batch.proof.read_ledger import ReadLedgerWork
from b2jobs_worker.batch.proof.verify import VerifyWork
from b2jobs_worker.celery.app import app
from b2jobs_worker.celery.task import register
from b2jobs_worker.handlers.syncs import RemoveWork, SyncWork
from b2jobs_worker.handlers.transfers import TransferWork
from b2jobs_worker.looking.listing import ListWork
from b2jobs_worker.looking.usage import DiskUsageWork
from b2jobs_worker.resources import context, store
from b2jobs_worker.work import Work

MOVERS: dict[str, Work[Any]] = {
    **dict.fromkeys(transfer.RUN, TransferWork()),
    "remove": RemoveWork(),
}

WORK: dict[str, Work[Any]] = {
    **MOVERS,
    "batch": PlannerWork(make_plans(context, store), store, context),
    "pack": PackWork(MOVERS, store),
    "sync": SyncWork(),
    "list": ListWork(context, store),
    "du": DiskUsageWork(context),
    "verify": VerifyWork(context, store),
    "ledger": ReadLedgerWork(context, store),
}

register(app, WORK)
