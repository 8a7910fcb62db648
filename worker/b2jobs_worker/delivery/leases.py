"""Keeping hold of the jobs this process has claimed.

One `Leases` and one thread a process renew all leases it holds, carry progress to Redis and
cancellations back, in one call twice a second.
"""

from __future__ import annotations

import logging
import threading
import time

from b2jobs.errors import QueueUnavailable
from b2jobs_worker.delivery import shutdown
from b2jobs_worker.delivery.attempt import JobAttempt
from b2jobs_worker.delivery.claims import Claims

BEAT_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Leases:
    """The jobs this process holds. Thread-safe."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._held: dict[str, JobAttempt] = {}
        self._lock = threading.Lock()
        self._has_work = threading.Event()
        threading.Thread(target=self._beat_for_ever, name="b2jobs-leases", daemon=True).start()

    def hold(self, attempt: JobAttempt) -> None:
        """Renew the attempt's lease from now on."""
        with self._lock:
            self._held[attempt.claim.fence + attempt.job_id] = attempt
        self._has_work.set()

    def release(self, attempt: JobAttempt) -> None:
        """Stop renewing; called twice it does nothing."""
        with self._lock:
            self._held.pop(attempt.claim.fence + attempt.job_id, None)
            if not self._held:
                self._has_work.clear()

    def count(self) -> int:
        """How many jobs are under way."""
        return len(self._held)

    def _all_held(self) -> list[JobAttempt]:
        with self._lock:
            return list(self._held.values())

    def _beat_for_ever(self) -> None:
        while True:
            self._has_work.wait()
            started = time.monotonic()
            attempts = self._all_held()
            if shutdown.grace_is_over():
                for attempt in attempts:
                    attempt.interrupt("handed_back", keep=True)
            try:
                self._renew(attempts)
            except QueueUnavailable as error:
                logger.warning("leases not renewed: %s", error)
            except Exception:
                logger.exception("leases not renewed")
            time.sleep(max(0.05, BEAT_SECONDS - (time.monotonic() - started)))

    def _renew(self, attempts: list[JobAttempt]) -> None:
        if not attempts:
            return
        held = [
            {"id": each.job_id, "fence": each.claim.fence, "progress": each.news()}
            for each in attempts
        ]
        asked_at = time.monotonic()
        for attempt, answer in zip(attempts, self._claims.renew(held), strict=True):
            attempt.heed(answer, asked_at)
