"""The work of a batch: plan, wait for the packs, end.

A planner never holds its slot while it waits: each *step* plans until enough packs are
queued, then lets the job rest (state `waiting`, reason `window`) until packs are sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, cast

from b2jobs.requests import Job
from b2jobs.results import Result
from b2jobs_worker.attempt import Attempt, Interrupted
from b2jobs_worker.batch.ledger.store import Fenced, Orders, Store
from b2jobs_worker.batch.plan.source import MakePlan
from b2jobs_worker.batch.plan.stream import KeptStreams
from b2jobs_worker.batch.planner.archive import Archive
from b2jobs_worker.batch.planner.closing import Closing
from b2jobs_worker.batch.planner.desk import Desk
from b2jobs_worker.batch.planner.step import Step
from b2jobs_worker.transfer.context import Context


class PlannerWork:
    """Implements `delivery.deliver.Work` for every kind of job that is a batch."""

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
            Interrupted: handed back, or the lease was lost.
        """
        fenced = cast("Fenced", attempt)
        try:
            self._step(request, fenced).run()
        except Interrupted as interrupted:
            if interrupted.reason != "cancelled":
                raise
            self._close(request, fenced)

    def abandon(self, request: Job, attempt: Attempt) -> None:
        """Cancelled: let the packs under way learn of it, and end when all are sealed.

        Raises:
            Settled: it rests until they are, or has ended.
        """
        self._close(request, cast("Fenced", attempt))

    def undo(self, request: Job, made: str) -> None:
        """Nothing: a planner makes nothing but packs."""

    def traces(self, result: Result) -> str | None:
        del result
        return None

    def _close(self, request: Job, attempt: Fenced) -> NoReturn:
        self._step(request, Closing(attempt)).close()

    def _step(self, request: Job, attempt: Fenced) -> Step:
        account = str(getattr(request, "account", "default"))
        prefix = getattr(request, "ledger", None)
        archive = None
        if prefix and self._context is not None:
            archive = Archive(prefix, account, attempt, self._context())
        orders = Orders(account, getattr(request, "if_exists", None), request.retry)
        desk = Desk(request, attempt, self._store(), archive, orders)
        return Step(desk, self._make_plan, self._kept)
