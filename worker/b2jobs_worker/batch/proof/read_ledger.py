"""Handing spilled parts of a ledger to a producer, which cannot reach where they are."""

from __future__ import annotations

from collections.abc import Callable

from b2jobs.requests import ReadLedger
from b2jobs.results import ReadLedgerResult, Result
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.pages import Pages
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.planner.archive import Archive
from b2jobs_worker.batch.planner.spilling import spilled
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.work import Work

_MOST_FILES = 4


class ReadLedgerWork(Work[ReadLedger]):
    """Files of a ledger go into Redis as fast as they are taken."""

    def __init__(self, context: Callable[[], Context], store: Callable[[], Store]) -> None:
        self._context = context
        self._store = store

    def run(self, request: ReadLedger, attempt: Attempt) -> Result:
        """Hand over every file of the batch's ledger, at most four ahead of the reader.

        Raises:
            CallerError: `nobody_reads`, after ten minutes in which nothing was taken.
            Settled: there is no room for another file; the slot is free until there is.
            JobError: a file cannot be read.
        """
        store = self._store()
        archive = Archive("", request.account, attempt, self._context())
        pages = Pages(store, attempt, most=_MOST_FILES)
        files = spilled(store.batch_state(request.batch))
        handed = pages.handed()  # by an earlier attempt: the producer has these, or finds them
        for number, uri in enumerate(files.values()):
            if number >= handed:
                pages.hand_over(number, archive.read(uri), {})
        pages.close()
        return ReadLedgerResult(files=len(files))

    def abandon(self, request: ReadLedger, attempt: Attempt) -> None:
        """Drop what was not taken."""
        del request
        Pages(self._store(), attempt, most=_MOST_FILES).drop()
