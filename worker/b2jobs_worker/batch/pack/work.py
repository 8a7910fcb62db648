"""The work of a pack: run its items many at once, record each, seal the pack."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from b2jobs.errors import CallerError, JobError
from b2jobs.items import Item
from b2jobs.requests import Pack
from b2jobs.results import Result
from b2jobs.signed import SealRefused
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.pack.item_attempt import ItemAttempt
from b2jobs_worker.batch.pack.request import request_of
from b2jobs_worker.batch.pack.run import PackRun
from b2jobs_worker.work import Work

logger = logging.getLogger(__name__)


class PackWork(Work[Pack]):
    """For packs; items undo what they made themselves."""

    def __init__(self, movers: Mapping[str, Work[Any]], store: Callable[[], Store]) -> None:
        self._movers = movers
        self._store = store

    def run(self, request: Pack, attempt: Attempt) -> Result:
        """Run the items that are not done yet, and seal the pack when all are.

        Raises:
            Settled: the pack is sealed, or waits since its batch is paused.
            PassingError: some items failed for now; the others are recorded.
            Interrupted: what is done is recorded.
            CallerError: `batch_gone`.
        """
        return self._opened(request, attempt).run()

    def abandon(self, request: Pack, attempt: Attempt) -> None:
        """Remove what its items left unfinished. The planner then sees to the pack's items."""
        run = self._opened(request, attempt)
        for entry in run.unfinished():
            if isinstance(entry.planned, Item):
                item = ItemAttempt(run, run.tag(entry), 2, entry.position)
                if not item.journal.load() and entry.planned.action != "download":
                    continue
                try:
                    asked = request_of(entry.planned, run.opened.orders)
                    self._movers[entry.planned.action].abandon(asked, item)
                except JobError as error:
                    logger.warning("%s: leftovers not removed: %s", item.job_id, error)

    def _opened(self, request: Pack, attempt: Attempt) -> PackRun:
        store = self._store()
        try:
            opened = store.open_pack(attempt, attempt.job_id)
        except SealRefused as error:
            raise CallerError(error.code, str(error), hint=error.hint) from error
        if opened is None:
            raise CallerError(
                "batch_gone",
                f"The items of {attempt.job_id} are gone.",
                hint="The records of its batch have expired; submit it again.",
            )
        return PackRun(request, attempt, opened, store, self._movers)
