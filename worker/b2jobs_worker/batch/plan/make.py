"""Which plan a batch has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from b2jobs.requests import Batch, Job
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.feed import Feed
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.plan.ahead import LookedAhead
from b2jobs_worker.batch.plan.feed import FeedPlan
from b2jobs_worker.batch.plan.manifest import ManifestPlan
from b2jobs_worker.batch.plan.prefix import PrefixPlan
from b2jobs_worker.batch.plan.removal import RemovalPlan
from b2jobs_worker.batch.plan.source import MakePlan, PlanSource
from b2jobs_worker.transfer.context import Context


def make_plans(context: Callable[[], Context], store: Callable[[], Store]) -> MakePlan:
    """Plans of `b2jobs.batch`, by what its request names."""

    def make(request: Job, attempt: Attempt) -> PlanSource:
        assert isinstance(request, Batch)
        if request.target is not None:
            client = context().client(request.account, attempt)
            spent = partial(store().add_cost, attempt)
            return RemovalPlan(request, attempt, client, spent, lambda: len(store().packs(attempt)))
        plan = items_of(request, attempt)
        if request.if_exists not in ("skip", "fail"):
            return plan
        client = context().client(request.account, attempt)
        spent = partial(store().add_cost, attempt)
        return LookedAhead(plan, request.if_exists, client, spent)

    def items_of(request: Batch, attempt: Attempt) -> PlanSource:
        spent = partial(store().add_cost, attempt)
        if request.stream:
            return FeedPlan(Feed(store().records, attempt.job_id, attempt.permit.producer))
        if request.manifest is not None:
            return ManifestPlan(request, attempt, context())
        return PrefixPlan(request, attempt, context(), spent)

    return make
