"""One attempt of a real job, as the engine sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TypeVar

from b2jobs.errors import QueueUnavailable
from b2jobs.signed import Signed
from b2jobs_worker.attempt import InterruptibleAttempt
from b2jobs_worker.delivery import shutdown
from b2jobs_worker.delivery.claims import Claim, Claims, until_redis_answers

Answer = TypeVar("Answer")
SURE_SECONDS = 1.0
"""For so long nobody asks again whether the lease holds: a claim or a beat has said so, and the
least lease is several times as long. A process that stood still meanwhile asks."""


class JobAttempt(InterruptibleAttempt):
    """Implements `attempt.Attempt` over a lease.

    One that does not heed a cancellation is for removing what a cancelled job left.
    """

    def __init__(self, claim: Claim, claims: Claims, *, heeds_cancel: bool = True) -> None:
        super().__init__()
        self.claim = claim
        self.job_id = claim.job_id
        self.number = claim.attempt
        self.journal = _FencedJournal(self)
        self.signed: Signed | None = None
        """Who has asked for the job, once that is known."""
        self._claims = claims
        self._heeds_cancel = heeds_cancel
        self._progress: tuple[str, int, int | None] | None = None
        self._told: tuple[str, int, int | None] | None = None
        self._began = self._told_at = time.monotonic()
        self._sure_at = claim.asked_at

    @property
    def fence(self) -> str:
        """The fencing number of the claim: a script given an outdated one does nothing."""
        return self.claim.fence

    def guard(self, *, anew: bool = False) -> None:
        self.checkpoint()
        if anew or time.monotonic() - self._sure_at > SURE_SECONDS:
            self.until_redis_answers(self._ask)
            self.checkpoint()

    def _ask(self) -> None:
        asked_at = time.monotonic()
        self.heed(self._claims.still_holds(self.claim), asked_at)

    def heed(self, answer: str, asked_at: float) -> None:
        """Act on what Redis said of the lease: `ok`, `cancel`, `lost` or `gone`."""
        match answer:
            case "ok":
                self._sure_at = asked_at
            case "cancel" if self._heeds_cancel and self.is_told_to_stop():
                self.interrupt("cancelled", keep=False)
            case "lost":
                self.interrupt("lease_lost", keep=True)
            case "gone":
                # Redis lost the job: nobody will go on with what is unfinished.
                self.interrupt("record_lost", keep=False)

    def is_told_to_stop(self) -> bool:
        """Whether who has cancelled the job may; asked again with the next beat where it is not
        known yet."""
        try:
            return self._claims.may_cancel(self.claim, self.signed)
        except QueueUnavailable:
            return False

    def progress(self, phase: str, done_bytes: int, total_bytes: int | None = None) -> None:
        self.permit.size(total_bytes or done_bytes)
        self._progress = (phase, done_bytes, total_bytes)

    def seconds(self) -> float:
        """Since the claim."""
        return time.monotonic() - self._began

    def news(self) -> str:
        """Progress as JSON for the record, or nothing when nothing moved since the last call."""
        now, latest = time.monotonic(), self._progress
        if latest is None or latest == self._told:
            return ""
        phase, done, total = latest
        before = self._told[1] if self._told and self._told[0] == phase else 0
        rate = max(0, done - before) / max(now - self._told_at, 1e-3)
        self._told, self._told_at = latest, now
        return json.dumps({"phase": phase, "done": done, "total": total, "rate": round(rate)})

    def until_redis_answers(self, act: Callable[[], Answer]) -> Answer:
        return until_redis_answers(act, give_up=self._must_give_up)

    def _must_give_up(self) -> bool:
        self.checkpoint()
        return shutdown.grace_is_over()


class _FencedJournal:
    """The journal in Redis; a write under an outdated lease interrupts the attempt."""

    def __init__(self, attempt: JobAttempt) -> None:
        self._attempt = attempt

    def load(self) -> dict[str, str]:
        claims, job_id = self._attempt._claims, self._attempt.job_id
        return self._attempt.until_redis_answers(lambda: claims.read_journal(job_id))

    def record(self, fields: dict[str, str]) -> None:
        self._write(fields)

    def clear(self) -> None:
        self._write(None)

    def _write(self, fields: dict[str, str] | None) -> None:
        attempt = self._attempt
        claims, claim = attempt._claims, attempt.claim
        while not attempt.until_redis_answers(lambda: claims.journal(claim, fields)):
            attempt.guard(anew=True)
