"""The governor of a whole fleet: what one worker is told by B2, all of them heed.

    PREFIXgovernor:ACCOUNT:pause      code and reason; expires when the pause is over
    PREFIXgovernor:ACCOUNT:requests   when all granted requests are used up, Redis's clock
    PREFIXgovernor:ACCOUNT:bytes      the same for bytes

Pauses are looked at four times a second and process, rates are granted in pieces, so a small
call costs no round trip. When Redis does not answer, the last answer holds: transfers go on,
and it is their lease that ends them.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

from b2jobs.errors import JobError, QueueUnavailable
from b2jobs.rates import Rates
from b2jobs.redis import Door, unavailable
from b2jobs_worker.b2.governor import LocalGovernor, Pause

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
_PIECE_SECONDS = 0.25
"""For so long a piece lasts at its rate: what is asked for at once, and lost with a worker."""
_BURST_SECONDS = 0.5
_NAP_SECONDS = 0.1

Checkpoint = Callable[[], None]


class _Share:
    """What Redis has granted this process of one rate and is not used yet.

    One thread asks at a time; the others find what it got, or ask next.
    """

    def __init__(self) -> None:
        self.left = 0.0
        self.asking = threading.Lock()


class RedisGovernor:
    """Implements `Governor` for all workers that share *client*'s Redis and *prefix*.

    *rates* says what holds now, for each account and the whole fleet. Nothing is booked ahead:
    a caller over a rate waits in its slot and asks again, so a rate that changes holds within
    half a second, and a worker that dies takes no more than a quarter of a second's share along.
    Without Redis each process keeps to the rate by itself.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str = "",
        *,
        rates: Callable[[], Rates] = Rates,
        sleep: Callable[[float], None] = time.sleep,
        url: str = "redis://",
    ) -> None:
        self._redis: Any = client
        self._url = url
        self._door = Door(client, url, prefix)
        self._prefix = prefix
        self._rates = rates
        self._sleep = sleep
        self._local = LocalGovernor(sleep=sleep)
        self._looked_at: dict[str, float] = {}
        self._shares: dict[str, _Share] = {}
        self._lock = threading.Lock()

    def admit(self, account: str, checkpoint: Callable[[], None]) -> None:
        self._look(account)
        self._local.admit(account, checkpoint)
        self._spend(account, "requests", 1, checkpoint)

    def moved(self, account: str, bytes_count: int, *, checkpoint: Callable[[], None]) -> bool:
        if self._rate("bytes") is None:
            return False
        self._spend(account, "bytes", bytes_count, checkpoint)
        return True

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

    def _spend(self, account: str, what: str, amount: float, checkpoint: Checkpoint) -> None:
        """Return when *amount* has been granted, piece by piece, at the rates of each moment."""
        if self._rate(what) is None:
            return
        key = self._key(account, what)
        with self._lock:
            share = self._shares.setdefault(key, _Share())
        while True:
            checkpoint()
            if not share.asking.acquire(timeout=_NAP_SECONDS):
                continue
            try:
                used = min(share.left, amount)
                share.left -= used
                amount -= used
                rate = self._rate(what)
                if amount <= 0 or rate is None:
                    return
                wait = self._asked(key)
                if wait <= 0:
                    share.left += rate * _PIECE_SECONDS
                else:
                    checkpoint()
                    self._sleep(min(wait, _NAP_SECONDS))
            finally:
                share.asking.release()

    def _rate(self, what: str) -> float | None:
        rates = self._rates()
        return rates.bytes_per_second if what == "bytes" else rates.requests_per_second

    def _asked(self, key: str) -> float:
        """Take a piece; above 0 it was not granted, and is to be asked for again so late."""
        try:
            cost, burst = _PIECE_SECONDS * 1000, _BURST_SECONDS * 1000
            milliseconds = self._door.call("fleet/grant", key=key, cost=cost, burst=burst)
        except QueueUnavailable as failure:
            logger.warning("the fleet's limits are not known: %s", failure)
            self._sleep(_PIECE_SECONDS)
            return 0.0
        return float(milliseconds) / 1000

    def _key(self, account: str, what: str) -> str:
        return f"governor:{account}:{what}"
