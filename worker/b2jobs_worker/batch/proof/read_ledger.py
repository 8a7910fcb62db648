"""Handing spilled parts of a ledger to a producer, which cannot reach where they are."""

from __future__ import annotations

import time
from collections.abc import Callable

from b2jobs.errors import CallerError
from b2jobs.requests import ReadLedger
from b2jobs.results import ReadLedgerResult, Result
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.feed import SILENCE_SECONDS, Feed
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.planner.archive import Archive
from b2jobs_worker.batch.planner.spilling import spilled
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.work import Work

_MOST_CHUNKS = 4
_PAUSE_SECONDS = 0.05
_KEPT_SECONDS = 3600
_HANDED = "handed"


class ReadLedgerWork(Work[ReadLedger]):
    """Files of a ledger go into Redis as fast as they are taken."""

    def __init__(self, context: Callable[[], Context], store: Callable[[], Store]) -> None:
        self._context = context
        self._store = store

    def run(self, request: ReadLedger, attempt: Attempt) -> Result:
        """Hand over every file of the batch's ledger, at most four ahead.

        Raises:
            CallerError: `nobody_reads`, after ten minutes in which nothing was taken.
            JobError: a file cannot be read.
        """
        store = self._store()
        archive = Archive("", request.account, attempt, self._context())
        feed = Feed(store.records, attempt.job_id)
        files = spilled(store.batch_state(request.batch))
        handed = int(attempt.journal.load().get(_HANDED, 0))
        for number, uri in enumerate(files.values()):
            if number < handed:
                continue  # an earlier attempt's: the producer has it, or finds it
            content = archive.read(uri)
            since = time.monotonic()
            while not store.hand_over(attempt, number, content, _MOST_CHUNKS):
                attempt.checkpoint()
                if time.monotonic() - since > SILENCE_SECONDS:
                    feed.drop()
                    raise CallerError("nobody_reads", "Nobody took the ledger's lines.")
                time.sleep(_PAUSE_SECONDS)
            attempt.journal.record({_HANDED: str(number + 1)})
        feed.expire(_KEPT_SECONDS)
        return ReadLedgerResult(files=len(files))

    def abandon(self, request: ReadLedger, attempt: Attempt) -> None:
        """Drop what was not taken."""
        del request
        Feed(self._store().records, attempt.job_id).drop()
