"""The work behind syncs, and behind the removals of local files they plan."""

from __future__ import annotations

import os
from functools import cache, partial
from typing import cast

from b2jobs.requests import Job, Remove, Sync
from b2jobs.results import Result, SyncResult
from b2jobs_worker.attempt import Attempt, Settled
from b2jobs_worker.batch.ledger.store import Fenced
from b2jobs_worker.batch.plan.source import PlanSource
from b2jobs_worker.batch.planner.work import PlannerWork
from b2jobs_worker.handlers.batches import store
from b2jobs_worker.handlers.transfers import context
from b2jobs_worker.settings import current
from b2jobs_worker.sync.digests import DigestCache
from b2jobs_worker.sync.pair import hold
from b2jobs_worker.sync.planner import SyncPlan
from b2jobs_worker.sync.removing import remove
from b2jobs_worker.sync.sides import sides_of

LOOK_AGAIN_SECONDS = 2.0


def plan_sync(request: Job, attempt: Attempt) -> PlanSource:
    """The plan of one sync."""
    assert isinstance(request, Sync)
    client = context().client(request.account, attempt)
    find = partial(sides_of, request, client, current(), digests())
    return SyncPlan(request, cast("Fenced", attempt), store(), client.meter, find)


class SyncWork(PlannerWork):
    """A planner that begins only when no other sync of the same pair is under way."""

    def __init__(self) -> None:
        super().__init__(plan_sync, store)

    def run(self, request: Job, attempt: Attempt) -> Result:
        """As `PlannerWork.run`, once the pair is ours."""
        assert isinstance(request, Sync)
        attempt.checkpoint()
        records = store().records
        owner = attempt.job_id
        if not request.dry_run:
            owner = hold(records, attempt.job_id, request)
        if owner == attempt.job_id:
            return super().run(request, attempt)
        if request.overlap == "skip":
            return SyncResult(status="skipped")
        if request.overlap == "replace":
            records.cancel(owner)
        store().rest(cast("Fenced", attempt), "window", LOOK_AGAIN_SECONDS, low=-1)
        raise Settled


class RemoveWork:
    """Implements `delivery.deliver.Work` for removing a local file."""

    def run(self, request: Job, attempt: Attempt) -> Result:
        assert isinstance(request, Remove)
        return remove(request, attempt, current())

    def abandon(self, request: Job, attempt: Attempt) -> None:
        """Nothing is ever left unfinished."""

    def undo(self, request: Job, made: str) -> None:
        """Nothing is ever made."""

    def traces(self, result: Result) -> str | None:
        del result
        return None


def digests() -> DigestCache:
    """The digests this process knows, opened at their first use, after any fork."""
    return _digests_of(os.getpid())


@cache
def _digests_of(process_id: int) -> DigestCache:
    del process_id
    folder = current().cache_folder
    return DigestCache(folder.expanduser() / "digests.sqlite" if folder else None)
