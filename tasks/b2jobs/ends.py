"""Hearing that jobs end: one subscription for all that wait in a process, in one thread.

Redis publishes each end to whoever has subscribed to that job. What is published may be missed
(a connection breaks, a fail-over), so who waits looks at the record after every connecting
anew, and once in a while; while there is no subscription it asks as often as it did before.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from typing import Any, Self

from redis.exceptions import NoPermissionError, RedisError

from b2jobs.connection import connect, within

LOOK_SECONDS = 30.0
"""How often a wait that is told of its job's end looks at the record nevertheless."""
_TURN_SECONDS = 0.05  # until a new wait is subscribed; until then it asks
_TURN_LASTS_SECONDS = 2.0
_IDLE_SECONDS = 10.0
_PING_SECONDS = 5.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_BARRED_SECONDS = 300.0
_MOST_AT_ONCE = 1000

logger = logging.getLogger(__name__)


class Ends:
    """Tells waits of one client that their jobs have ended. Thread-safe; a fork begins anew."""

    def __init__(self, url: str, key_prefix: str, timeout_seconds: float) -> None:
        self._url = url
        self._prefix = f"{key_prefix}celery-task-meta-"
        self._seconds = timeout_seconds
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Nothing is heard yet: for a new client, and in the child of a fork."""
        self._lock = threading.Lock()
        self._waits: dict[str, set[Wait]] = {}
        self._confirmed: set[str] = set()
        self._thread: threading.Thread | None = None

    def add(self, wait: Wait) -> None:
        """Tell *wait* from soon on; `is_told` says when."""
        channel = self._prefix + wait.job_id
        with self._lock:
            self._waits.setdefault(channel, set()).add(wait)
            is_confirmed = channel in self._confirmed
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="b2jobs-ends", daemon=True)
                self._thread.start()
        if is_confirmed:
            wait.tell(is_told=True)

    def remove(self, wait: Wait) -> None:
        """Tell it nothing more; twice does nothing."""
        with self._lock:
            channel = self._prefix + wait.job_id
            waits = self._waits.get(channel, set())
            waits.discard(wait)
            if not waits:
                self._waits.pop(channel, None)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while self._has_waits_or_ends():
            began = time.monotonic()
            try:
                self._listen()
            except NoPermissionError as error:
                logger.info("ends of jobs are asked for, not listened to: %s", error)
                self._lose()
                time.sleep(_BARRED_SECONDS)
            except (RedisError, OSError) as error:
                logger.debug("ends of jobs are not heard: %s", error)
                self._lose()
                is_news = time.monotonic() - began > _LONGEST_PAUSE_SECONDS
                pause = _FIRST_PAUSE_SECONDS if is_news else min(2 * pause, _LONGEST_PAUSE_SECONDS)
                time.sleep(pause)
            except Exception:
                logger.exception("ends of jobs are not heard")
                self._lose()
                time.sleep(_LONGEST_PAUSE_SECONDS)

    def _listen(self) -> None:
        """Hear until nobody has waited for a while.

        Raises:
            RedisError, OSError: the subscription is gone.
        """
        with connect(self._url, self._seconds) as redis:
            ears: Any = redis.pubsub()
            try:
                self._hear(ears)
            finally:
                ears.close()

    def _hear(self, ears: Any) -> None:
        subscribed: set[str] = set()
        heartbeat = f"{self._prefix}-heartbeat"
        asked = heard = idle_since = time.monotonic()
        ears.subscribe(heartbeat)
        while True:
            now = time.monotonic()
            with self._lock:
                wanted = set(self._waits)
                self._confirmed &= wanted
            with within(min(self._seconds, _TURN_LASTS_SECONDS)):
                for some in _portions(wanted - subscribed):
                    ears.subscribe(*some)
                for some in _portions(subscribed - wanted):
                    ears.unsubscribe(*some)
                subscribed = wanted
                if now - asked > _PING_SECONDS:
                    if heard < asked:
                        raise ConnectionError("nothing was heard of it for some time")
                    ears.subscribe(heartbeat)  # which is answered
                    asked = time.monotonic()
                wait = _TURN_SECONDS
                while (message := ears.get_message(timeout=wait)) is not None:
                    heard, wait = time.monotonic(), 0.0
                    self._tell(message)
            if wanted:
                idle_since = now
            elif now - idle_since > _IDLE_SECONDS:
                return

    def _tell(self, message: dict[str, Any]) -> None:
        if message["type"] in ("message", "subscribe"):
            with self._lock:
                waits = list(self._waits.get(message["channel"], ()))
                if waits:
                    self._confirmed.add(message["channel"])
            for wait in waits:
                wait.tell(is_told=True)

    def _lose(self) -> None:
        with self._lock:
            self._confirmed.clear()
            waits = [wait for some in self._waits.values() for wait in some]
        for wait in waits:
            wait.tell(is_told=False)

    def _has_waits_or_ends(self) -> bool:
        with self._lock:
            if not self._waits:
                self._thread = None
            return self._thread is not None


class Wait:
    """One wait for one job. It begins to listen at its first rest."""

    def __init__(self, ends: Ends | None, job_id: str) -> None:
        """Without *ends* it rests as long as it is told, and hears nothing."""
        self.job_id = job_id
        self.is_told = False
        """Whether an end would be heard now."""
        self._ends = ends
        self._is_added = False
        self._heard = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_added and self._ends is not None:
            self._ends.remove(self)

    def tell(self, *, is_told: bool) -> None:
        """End the rest: there may be something to see."""
        self.is_told = is_told
        self._wake()

    def rest(self, seconds: float) -> None:
        """Sleep for *seconds*, or until there may be something to see."""
        self._add()
        self._heard.wait(seconds)
        self._heard.clear()

    def _add(self) -> None:
        if not self._is_added and self._ends is not None:
            self._is_added = True
            self._ends.add(self)

    def _wake(self) -> None:
        self._heard.set()


class AsyncWait(Wait):
    """The awaitable twin: no thread is held."""

    def __init__(self, ends: Ends | None, job_id: str) -> None:
        super().__init__(ends, job_id)
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()

    async def rest_awaited(self, seconds: float) -> None:
        """`rest`, awaited."""
        self._add()
        try:
            await asyncio.wait_for(self._told.wait(), seconds)
        except TimeoutError:
            return
        self._told.clear()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._told.set)
        except RuntimeError:  # the loop is closed: nobody waits any more
            logger.debug("job %s: its wait has no loop any more", self.job_id)


def _portions(channels: set[str]) -> list[list[str]]:
    names = list(channels)
    return [names[n : n + _MOST_AT_ONCE] for n in range(0, len(names), _MOST_AT_ONCE)]


_all: weakref.WeakSet[Ends] = weakref.WeakSet()


def _begin_anew() -> None:
    for ends in list(_all):
        ends._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
