"""The keeper: rings again for lost and waiting jobs. A part of every worker; one leads.

Each round it gives the jobs of dead workers to others, queues those whose waiting time is
over, rings for those whose doorbell vanished (a worker that dies between taking a message
and noting it loses it: 3 to 6 in 10,000 under fire), and forgets what has expired.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from redis.exceptions import NoPermissionError

from b2jobs.errors import QueueUnavailable
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs_worker.b2.tally import used
from b2jobs_worker.settings import Settings

ROUND_SECONDS = 1.0
LEAD_SECONDS = 5.0
MOST_PER_CALL = {
    "take_back": 100,
    "ring_due": 100,
    "ring_unheard": 100,
    "tell_followers": 100,
    "forget": 1000,
    "sweep_staged": 20,
    "fold": 30,
}
CALLS_PER_ROUND = 20
FORWARD_MOST = 200

T = TypeVar("T")
logger = logging.getLogger(__name__)

Chore = Literal[
    "fold", "take_back", "ring_due", "ring_unheard", "tell_followers", "forget", "sweep_staged"
]


CHORES: list[Callable[[Settings, Records], Callable[[], None]]] = []
"""What else a leading keeper does each round: makers of chores, filled in by celery/app.py."""


class Keeper:
    """One worker's keeper. `round` is all it does; a thread calls it every second."""

    def __init__(
        self,
        settings: Settings,
        worker: str,
        about: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        """*about*: what the worker says of itself now."""
        self.settings = settings
        self._about = about
        self.worker = f"{worker}|{settings.queues}"
        self.records = Records(
            settings.redis_url,
            settings.key_prefix,
            settings.redis_timeout_seconds,
            settings.ring(),
        )
        self.chores = [make(settings, self.records) for make in CHORES]
        self._token = uuid.uuid4().hex
        self._judge_from = 0.0
        self._kept = {
            "results": settings.keep_results_seconds,
            "failures": settings.keep_failures_seconds,
        }
        self._limits = {
            "events": settings.keep_events,
            "numbers": settings.keep_numbers_seconds,
            "staged": settings.keep_staged_seconds,
            "staged_most": settings.staged_bytes,
            "staged_all": settings.staged_all_bytes,
        }

    def round(self) -> bool:
        """Show that this worker lives and, when leading, do what is due. Whether it leads.

        Raises:
            QueueUnavailable
        """
        call = self.records.door.call
        if not self._lead():
            return False
        lost = self._sweep("take_back") if self._may_judge() else 0
        due = self._sweep("ring_due")
        rung = self._sweep("ring_unheard")
        self._sweep("tell_followers")
        self._sweep("forget", **self._kept)
        self._sweep("sweep_staged")
        self._sweep("fold")
        queue = self.settings.foreign_queue
        if queue:
            self._each(lambda: call("keeper/forward", queue=queue, most=FORWARD_MOST))
        self._each(lambda: call("keeper/gather", most=FORWARD_MOST))
        if lost or rung:
            logger.warning("keeper: %d jobs taken from lost workers, %d rung again", lost, rung)
        elif due:
            logger.debug("keeper: %d waiting jobs are due", due)
        for chore in self.chores:
            self._each(chore)
        return True

    def _each(self, chore: Callable[[], T]) -> T | None:
        """Do one thing; what it stumbles over, such as a key of another type, stops no other.

        Raises:
            QueueUnavailable
        """
        try:
            return chore()
        except QueueUnavailable:
            raise
        except Exception:
            logger.exception("keeper: a chore failed")
            return None

    def _lead(self) -> bool:
        """Show that this worker lives, hand over its numbers, and take or keep the lead."""
        amounts = used.take()
        try:
            leads = self.records.door.call(
                "keeper/lead",
                token=self._token,
                lead=LEAD_SECONDS,
                limits=self.settings.policy.limits(),
                worker=self.worker,
                about=json.dumps(self._about()),
                amounts=amounts or None,
                **self._kept,
                **self._limits,
            )
        except QueueUnavailable:
            used.give_back(amounts)
            raise
        return bool(leads)

    def _sweep(self, script: Chore, **arguments: float) -> int:
        """Do what is due in calls that hold Redis for milliseconds; how many jobs there were."""
        found, most = 0, MOST_PER_CALL[script]
        for _ in range(CALLS_PER_ROUND):
            count = self._each(
                lambda: int(self.records.door.call(f"keeper/{script}", most=most, **arguments))
            )
            found += count or 0
            if count is None or count < most:
                break
        return found

    def redis_was_away(self) -> None:
        """Give the owners of leases time to renew them before they are judged."""
        self._judge_from = time.monotonic() + self.settings.lease_seconds / 2

    def resign(self) -> None:
        """Leave the lead to another worker at once; hand over the last numbers."""
        amounts = used.take()
        if amounts:
            self.records.door.call("fleet/count", amounts=amounts)
        with unavailable(self.settings.redis_url):
            self.records.redis.zrem(f"{self.records.prefix}workers", self.worker)
            if self.records.redis.get(f"{self.records.prefix}keeper") == self._token:
                self.records.redis.delete(f"{self.records.prefix}keeper")

    def _may_judge(self) -> bool:
        """Whether leases can be trusted: after a restart of Redis owners come back first."""
        if time.monotonic() < self._judge_from:
            return False
        try:
            with unavailable(self.settings.redis_url):
                info = self.records.redis.info("server")
        except QueueUnavailable as error:
            if not isinstance(error.__cause__, NoPermissionError):
                raise
            return True  # then only what this keeper saw of a restart counts
        return int(info["uptime_in_seconds"]) >= self.settings.lease_seconds / 2
