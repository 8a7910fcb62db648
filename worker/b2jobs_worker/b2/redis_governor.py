"""The governor of a whole fleet: what one worker is told by B2, all of them heed.

    PREFIXgovernor:ACCOUNT:pause      code and reason; expires when the pause is over
    PREFIXgovernor:ACCOUNT:requests   when the next request may be sent, Redis's clock
    PREFIXgovernor:ACCOUNT:bytes      the same for bytes

Pauses are looked at four times a second and process, rates are granted in batches, so a
small call costs no round trip. When Redis does not answer, the last answer holds: transfers
go on, and it is their lease that ends them.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from b2jobs.errors import JobError, QueueUnavailable
from b2jobs.redis import Door, unavailable
from b2jobs_worker.b2.governor import LocalGovernor, Pause

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
_BATCH_SECONDS = 0.1
_BURST_SECONDS = 0.5


@dataclass
class _Allowance:
    """What Redis has granted this process and is not used yet."""

    left: float = 0.0


class RedisGovernor:
    """Implements `Governor` for all workers that share *client*'s Redis and *prefix*.

    *requests_per_second* and *bytes_per_second* are for each account and the whole fleet;
    None sets no limit. Every worker must be given the same ones. A caller over a rate waits
    in its slot until it is its turn: a limit makes transfers slow, it does not end them.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str = "",
        *,
        requests_per_second: float | None = None,
        bytes_per_second: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        url: str = "redis://",
    ) -> None:
        self._redis: Any = client
        self._url = url
        self._door = Door(client, url, prefix)
        self._prefix = prefix
        self._rates = {"requests": requests_per_second, "bytes": bytes_per_second}
        self._sleep = sleep
        self._local = LocalGovernor(sleep=sleep)
        self._looked_at: dict[str, float] = {}
        self._allowances: dict[str, _Allowance] = {}
        self._lock = threading.Lock()

    def admit(self, account: str, bytes_count: int, checkpoint: Callable[[], None]) -> None:
        self._look(account)
        self._local.admit(account, bytes_count, checkpoint)
        self._spend(account, "requests", 1, checkpoint)
        if bytes_count:
            self._spend(account, "bytes", bytes_count, checkpoint)

    def received(self, account: str, bytes_count: int, checkpoint: Callable[[], None]) -> None:
        self._spend(account, "bytes", bytes_count, checkpoint)

    def pause(self, account: str, error: JobError) -> None:
        self._local.pause(account, error)
        if error.wait is None or not error.wait.seconds:
            return
        told = json.dumps({"code": error.code, "reason": error.wait.reason})
        milliseconds = max(1, math.ceil(error.wait.seconds * 1000))
        try:
            key = self._key(account, "pause")
            self._door.call("fleet/pause", key=key, told=told, milliseconds=milliseconds)
        except QueueUnavailable as failure:
            logger.warning("other workers are not told to pause: %s", failure)

    def _look(self, account: str) -> None:
        """Learn of a pause another worker was told, four times a second."""
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at.get(account, float("-inf")) < LOOK_SECONDS:
                return
            self._looked_at[account] = now
        key = self._prefix + self._key(account, "pause")
        try:
            with unavailable(self._url):
                pipe = self._redis.pipeline(transaction=True)
                told, milliseconds = pipe.get(key).pttl(key).execute()
        except QueueUnavailable as failure:
            logger.warning("pauses of other workers are not known: %s", failure)
            return
        if told is not None and milliseconds > 0:
            known = json.loads(told)
            pause = Pause(known["code"], known["reason"], 0.0)
            self._local.pause(account, pause.error(milliseconds / 1000))

    def _spend(self, account: str, what: str, amount: int, checkpoint: Callable[[], None]) -> None:
        rate = self._rates[what]
        if rate is None:
            return
        key = self._key(account, what)
        with self._lock:
            allowance = self._allowances.setdefault(key, _Allowance())
            if allowance.left >= amount:
                allowance.left -= amount
                return
            wanted = max(amount - allowance.left, rate * _BATCH_SECONDS)
            allowance.left += wanted - amount
            wait = self._granted(key, wanted, rate)
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            checkpoint()
            self._sleep(min(left, 0.1))

    def _granted(self, key: str, wanted: float, rate: float) -> float:
        """Seconds to wait before *wanted* may be used; 0 when Redis does not answer."""
        try:
            cost, burst = wanted / rate * 1000, _BURST_SECONDS * 1000
            milliseconds = self._door.call("fleet/grant", key=key, cost=cost, burst=burst)
        except QueueUnavailable as failure:
            logger.warning("the fleet's limits are not known: %s", failure)
            return 0.0
        return float(milliseconds) / 1000

    def _key(self, account: str, what: str) -> str:
        return f"governor:{account}:{what}"
