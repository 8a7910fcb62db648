"""The outbox's delivery: tells Celery tasks, webhooks and canvases that jobs have ended.

A part of every worker. One thread takes lanes that are due; each is served by a thread of its
own, word for word, so that a receiver that is slow or down holds up its own lanes only. A lane
is leased, and the lease renewed while a word is told: when whoever serves it dies, another worker
takes it within the lease, and the word that was on its way is told again, under the same id.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from b2jobs.errors import CallerError, QueueUnavailable
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import json_object, whole
from b2jobs.signed import SealRefused, unsealed
from b2jobs.signing import ANYONE
from b2jobs.words import Word, word_of
from b2jobs_worker.permits import permit
from b2jobs_worker.settings import Settings

THREADS = 24
"""Lanes that one process serves at once, each in a thread that lives as long as its turn."""
TURN_SECONDS = 2.0
"""How long a lane is served before others that are due have their turn."""
LONGEST_TELLING_SECONDS = 15.0
FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 3600.0
LONGEST_SILENCE_SECONDS = 60.0
LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0

logger = logging.getLogger(__name__)

Message = tuple[str, bytes]
"""A list in Redis, behind the key prefix, and what is put into it."""
Sender = Callable[[Word], list[Message]]
"""Tells a word, within `LONGEST_TELLING_SECONDS`. What it answers is put into Redis in the step
in which the word is forgotten.

Raises:
    NotTold
"""


class NotTold(Exception):
    """A word was not told.

    heals: it may be told later. is_silent: nothing that goes to the same lane could be told now.
    """

    def __init__(self, why: str, *, heals: bool = True, is_silent: bool = False) -> None:
        super().__init__(why)
        self.heals = heals
        self.is_silent = is_silent


class Outbox:
    """One process's part in delivering. *senders* tell words by what is in `Word.to`."""

    def __init__(self, settings: Settings, senders: Mapping[str, Sender]) -> None:
        self._records = Records(
            settings.redis_url,
            settings.key_prefix,
            settings.redis_timeout_seconds,
            settings.ring(),
        )
        self._call = self._records.door.call
        self._settings = settings
        self._senders = senders
        self._lease = settings.lease_seconds
        self._telling: set[str] = set()
        self._renewal = threading.Lock()
        """Who has told its word leaves its lane before the leases are renewed, or after."""
        self._stop = threading.Event()
        self._busy = 0
        self._listens = True
        """Whether no lane is being taken: `serve` waits for the bell, or has not begun."""
        self._change = threading.Condition()

    def serve(self) -> None:
        """Deliver until `stop`. Redis may be away meanwhile."""
        while not self._stop.is_set():
            try:
                self._round()
            except QueueUnavailable as error:
                logger.warning("outbox: %s", error)
                self._stop.wait(LOOK_SECONDS)
            except Exception:
                logger.exception("outbox: a round failed")
                self._stop.wait(LOOK_SECONDS)

    def stop(self) -> None:
        """Take no more lanes; those that are served are left after the word under way.

        Returns when they are, or `STOP_SECONDS` later: they go on elsewhere. `serve` may still
        wait for the bell, with nothing in its hands.
        """
        with self._change:
            self._stop.set()
            self._change.wait_for(lambda: self._listens and not self._busy, STOP_SECONDS)

    def _round(self) -> None:
        """Take what lanes there are threads for, then wait for the bell."""
        with self._change:
            self._change.wait_for(lambda: self._busy < THREADS, LOOK_SECONDS)
            if self._stop.is_set():
                return
            self._listens = False
            spare = THREADS - self._busy
        try:
            with self._renewal:
                held = sorted(self._telling)
                lanes = self._call("words/take", most=spare, lease=self._lease, held=held)
            self._serve_lanes(lanes)
        finally:
            with self._change:
                self._listens = True
                self._change.notify_all()
        if spare and not lanes:
            with unavailable(self._settings.redis_url):
                self._records.redis.blpop(f"{self._records.prefix}outbox-bell", self._patience())

    def _serve_lanes(self, lanes: list[object]) -> None:
        with self._change:
            self._busy += len(lanes)
        for lane in lanes:
            # A daemon: a worker that ends does not wait for a receiver; the lease runs out.
            name, given = f"b2jobs-outbox-{lane}", (str(lane),)
            threading.Thread(target=self._turn, args=given, name=name, daemon=True).start()

    def _patience(self) -> float:
        """How long to wait for the bell: shorter than a call of Redis may take."""
        return min(LOOK_SECONDS, self._settings.redis_timeout_seconds / 4)

    def _turn(self, lane: str) -> None:
        try:
            self._serve_lane(lane)
        except QueueUnavailable as error:
            logger.warning("outbox: %s is left: %s", lane, error)
        except Exception:
            logger.exception("outbox: %s is left", lane)
        finally:
            with self._change:
                self._busy -= 1
                self._change.notify_all()

    def _serve_lane(self, lane: str) -> None:
        began = time.monotonic()
        while not self._stop.is_set() and time.monotonic() - began < TURN_SECONDS:
            found = self._call("words/next", lane=lane, lease=self._lease)
            if not found:
                return
            word_id, flat = found
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            if not self._tell(str(word_id), lane, fields):
                return
        self._call("words/leave", lane=lane)

    def _tell(self, word_id: str, lane: str, fields: dict[str, str]) -> bool:
        """Tell one word and note what became of it; whether to go on with its lane."""
        try:
            self._admit(fields)
            word = word_of(word_id, fields)
            with self._renewing(lane):
                messages = self._sender(word)(word)
            self._told(word, lane, messages)
        except NotTold as error:
            return self._failed(word_id, lane, fields, error)
        except QueueUnavailable:
            raise
        except Exception as error:
            logger.exception("outbox: word %s: a bug", word_id)
            return self._failed(word_id, lane, fields, NotTold(f"{type(error).__name__}: {error}"))
        logger.debug("outbox: word %s of job %s is told", word_id, word.job)
        return True

    @contextmanager
    def _renewing(self, lane: str) -> Iterator[None]:
        """Have the lane's lease renewed meanwhile, once a round."""
        with self._renewal:
            self._telling.add(lane)
        try:
            yield
        finally:
            with self._renewal:
                self._telling.discard(lane)

    def _admit(self, fields: Mapping[str, str]) -> None:
        """Whether who asked for the job may have this told.

        Raises:
            NotTold
        """
        ring, sealed, job = self._records.ring, fields["to"], fields["job"]
        try:
            ring.unseal(sealed, "word", job, by=ANYONE)
            producer = ring.sealed_by(sealed, "word", job) if ring.is_workers else ""
            to = json.loads(unsealed(sealed))
            self._check_result(fields, to)
            asked = permit(self._settings, producer, "")
            asked.tell(str(to.get("task", "")), str(to.get("url", "")))
        except (SealRefused, CallerError) as error:
            raise NotTold(str(error), heals=False) from error

    def _check_result(self, fields: Mapping[str, str], to: Mapping[str, object]) -> None:
        """Whether what is told of a success is what a worker wrote of that job. A canvas may be
        told of a job whose result it shares.

        Raises:
            SealRefused
        """
        if not self._records.ring.required or fields["state"] != "succeeded":
            return
        result = json_object(fields.get("result"))
        self._records.ring.check_result(result, None if "canvas" in to else fields["job"])

    def _sender(self, word: Word) -> Sender:
        for name, sender in self._senders.items():
            if name in word.to:
                return sender
        raise NotTold(f"this worker cannot tell {', '.join(word.to)}")

    def _told(self, word: Word, lane: str, messages: list[Message]) -> None:
        lists = [name for name, _ in messages]
        raw = [message for _, message in messages]
        answer = self._call("words/told", *raw, word=word.id, lane=lane, lists=lists)
        if answer not in (0, 1):
            raise NotTold(f"the queue {answer} is no list in Redis")

    def _failed(self, word_id: str, lane: str, fields: dict[str, str], error: NotTold) -> bool:
        tries = whole(fields.get("tries")) + 1
        settings = self._settings
        log = logger.info if error.heals else logger.warning
        log("outbox: word %s of job %s is not told (try %d): %s",
            word_id, fields.get("job"), tries, error)  # fmt: skip
        return bool(
            self._call(
                "words/failed",
                word=word_id,
                lane=lane,
                error=str(error)[:500],
                delay=delay_seconds(tries),
                ends=int(not error.heals),
                is_silent=int(error.is_silent),
                longest=LONGEST_SILENCE_SECONDS,
                patience=settings.webhook_retry_seconds,
                keep=settings.keep_failures_seconds,
            )
        )


def delay_seconds(tries: int, jitter: Callable[[], float] = random.random) -> float:
    """How long after its *tries*-th failure a word is told again: 1 s to 1 h, doubled each time,
    and up to a half more."""
    delay = FIRST_DELAY_SECONDS * 2.0 ** min(tries - 1, 16)
    return min(delay, LONGEST_DELAY_SECONDS) * (1 + jitter() / 2)
