"""The work behind syncs, and behind the removals of local files they plan."""

from __future__ import annotations

from functools import partial

from b2jobs.requests import Job, Remove, Sync
from b2jobs.results import Result, SyncResult
from b2jobs_worker.attempt import Attempt, Settled
from b2jobs_worker.b2.meter import Meters
from b2jobs_worker.batch.plan.source import PlanSource
from b2jobs_worker.batch.planner.work import PlannerWork
from b2jobs_worker.resources import context, resources, store
from b2jobs_worker.settings import current
from b2jobs_worker.sources.limits import began_millis
from b2jobs_worker.sync.pair import hold
from b2jobs_worker.sync.planner import SyncPlan
from b2jobs_worker.sync.removing import remove
from b2jobs_worker.sync.sides import sides_of
from b2jobs_worker.work import Work

LOOK_AGAIN_SECONDS = 2.0


def plan_sync(request: Job, attempt: Attempt) -> PlanSource:
    """The plan of one sync."""
    assert isinstance(request, Sync)
    client = context().client(request.account, attempt)
    reader = client
    if request.source_account not in (None, request.account):
        reader = context().client(str(request.source_account), attempt)
    now = began_millis(attempt.journal) if request.has_limits else 0
    find = partial(sides_of, request, client, reader, current(), resources().digests, now)
    meter = client.meter if reader is client else Meters(client.meter, reader.meter)
    return SyncPlan(request, attempt, store(), meter, find)


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
        store().rest(attempt, "window", LOOK_AGAIN_SECONDS, low=-1)
        raise Settled


class RemoveWork(Work[Remove]):
    """Removing a local file."""

    def run(self, request: Remove, attempt: Attempt) -> Result:
        return remove(request, attempt, current())
