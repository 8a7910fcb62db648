"""The work of a batch: plan, wait for the packs, end.

A planner never holds its slot while it waits: each *step* plans until enough packs are
queued, then lets the job rest (state `waiting`, reason `window`) until packs are sealed.
"""

from __future__ import annotations

from collections.abc import Callable

from b2jobs.requests import Batch, Job
from b2jobs.requests.attributes import AllAttributes
from b2jobs.results import Result
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.packs import Orders
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.plan.source import MakePlan
from b2jobs_worker.batch.plan.stream import KeptStreams
from b2jobs_worker.batch.planner.archive import Archive
from b2jobs_worker.batch.planner.desk import Desk
from b2jobs_worker.batch.planner.step import Step
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.work import Work


class PlannerWork(Work[Job]):
    """For every kind of job that is a batch. It makes nothing but packs."""

    def __init__(
        self,
        make_plan: MakePlan,
        store: Callable[[], Store],
        context: Callable[[], Context] | None = None,
    ) -> None:
        """*context* is what reaches the place of a ledger; without it none may be named."""
        self._make_plan = make_plan
        self._store = store
        self._context = context
        self._kept = KeptStreams()

    def run(self, request: Job, attempt: Attempt) -> Result:
        """One step. The plan goes on where the last one, on any worker, has left it.

        Raises:
            Settled: the batch rests until packs are sealed, or has ended.
            Interrupted: cancelled, which `abandon` sees to, handed back, or the lease was lost.
        """
        self._step(request, attempt).run()

    def abandon(self, request: Job, attempt: Attempt) -> None:
        """Cancelled: let the packs under way learn of it, and end when all are sealed.

        Raises:
            Settled: it rests until they are, or has ended.
        """
        self._step(request, attempt).close()

    def _step(self, request: Job, attempt: Attempt) -> Step:
        account = str(getattr(request, "account", "default"))
        prefix = getattr(request, "ledger", None)
        archive = None
        if prefix and self._context is not None:
            archive = Archive(prefix, account, attempt, self._context())
        attributes = request.attributes() if isinstance(request, AllAttributes) else {}
        key = None
        if isinstance(request, Batch) and request.source is None:
            key = request.customer_key  # else the listing tells which files need it
        if_exists = getattr(request, "if_exists", None)
        reads = getattr(request, "source_account", None)
        orders = Orders(account, if_exists, request.retry, attributes, key, reads)
        desk = Desk(request, attempt, self._store(), archive, orders)
        return Step(desk, self._make_plan, self._kept)
