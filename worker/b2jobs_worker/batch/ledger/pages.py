"""Pages that a job hands to whoever reads it, each exactly once, through Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping

from b2jobs.errors import CallerError, QueueUnavailable
from b2jobs_worker.attempt import Attempt, Settled
from b2jobs_worker.batch.ledger.feed import SILENCE_SECONDS, Feed
from b2jobs_worker.batch.ledger.store import Store

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 2.0
_REST_SECONDS = 30.0
_KEPT_SECONDS = 3600
"""How long a page stays that nobody takes."""


class Pages:
    """What the reader of one job has got and may still take.

    A page is handed over and noted in the attempt's journal in one step: a worker that dies leaves
    none that comes twice, and none that is missing. Where the reader is slow the job gives its slot
    away until there is room.

    most: pages that may wait. silence_seconds: for how long, without a reader.
    """

    def __init__(
        self,
        store: Store,
        attempt: Attempt,
        *,
        most: int,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._store = store
        self._attempt = attempt
        self._most = most
        self._silence_seconds = silence_seconds

    def handed(self) -> int:
        """How many earlier attempts have handed over."""
        return int(self._attempt.journal.load().get("pages", 0))

    def hand_over(self, number: int, page: bytes, notes: Mapping[str, str]) -> None:
        """Hand over the page *number*; *notes* go into the journal with it.

        Raises:
            CallerError: `nobody_reads`, when nothing was taken for so long.
            Settled: there is no room; the slot is free until there is.
            Interrupted: the job is not ours any more.
        """
        since = time.monotonic()
        while True:
            full = self._offered(number, page, notes)
            if full is None:
                return
            self._attempt.checkpoint()
            if full > self._silence_seconds:
                self.drop()
                raise CallerError(
                    "nobody_reads",
                    f"Nobody took the job's lines for {self._silence_seconds:g} s.",
                    hint="Read them while it runs: b2jobs.ls(...).lines() (or give a limit), "
                    "batch.lines().",
                )
            if time.monotonic() - since > _PATIENCE_SECONDS:
                rest = min(_REST_SECONDS, self._silence_seconds)
                self._store.rest(self._attempt, "window", rest, low=-1)
                raise Settled
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """All are handed over: those that nobody takes go by themselves."""
        Feed(self._store.records, self._attempt.job_id).expire(_KEPT_SECONDS)

    def drop(self) -> None:
        """Drop what was not taken."""
        Feed(self._store.records, self._attempt.job_id).drop()

    def _offered(self, number: int, page: bytes, notes: Mapping[str, str]) -> float | None:
        """None when it was taken; else for how many seconds there has been no room for it."""
        own = {"id": self._attempt.job_id, "fence": self._attempt.fence, "number": number}
        more = {"notes": notes, "most": self._most, "keep": _KEPT_SECONDS}
        call = self._store.records.door.call
        said = self._store.patiently(
            self._attempt, lambda: call("batches/page", page, **own, **more)
        )
        if said == "lost":
            self._attempt.guard(anew=True)  # says why, by raising
            raise QueueUnavailable("The lease was lost and found again; the keeper rings again.")
        return None if said == "fed" else float(said)
