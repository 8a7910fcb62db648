"""The work behind batches and their packs."""

from __future__ import annotations

import os
from functools import cache

from b2jobs.records import Records
from b2jobs.requests import Hide, Job
from b2jobs.results import HideResult, Result
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.handlers.transfers import context
from b2jobs_worker.settings import current
from b2jobs_worker.transfer.hide import hide


def store() -> Store:
    """The store of this process, made at their first use, after any fork."""
    return _store_of(os.getpid())


@cache
def _store_of(process_id: int) -> Store:
    del process_id
    settings = current()
    records = Records(settings.redis_url, settings.key_prefix, settings.redis_timeout_seconds)
    return Store(records, settings.keep_failures_seconds)


class HideWork:
    """Implements `delivery.deliver.Work` for hiding a file, an item of syncs."""

    def run(self, request: Job, attempt: Attempt) -> Result:
        assert isinstance(request, Hide)
        return hide(request, attempt, context())

    def abandon(self, request: Job, attempt: Attempt) -> None:
        """Nothing is ever left unfinished."""

    def undo(self, request: Job, made: str) -> None:
        """A second marker of the same name does no harm, and is not made."""

    def traces(self, result: Result) -> str | None:
        assert isinstance(result, HideResult)
        return None
