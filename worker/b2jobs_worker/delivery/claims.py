"""Claims: taking a job, and what is noted about it while it is ours. All of it is fenced."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

from b2jobs.celery_meta import failed_meta, revoked_meta, succeeded_meta
from b2jobs.commands import is_heeded
from b2jobs.errors import Failure, InvalidJob, QueueUnavailable
from b2jobs.records import MOST_REQUEST_BYTES, Records
from b2jobs.redis import unavailable
from b2jobs.requests import State
from b2jobs.signed import SignatureRefused, Signed, Submission, believed
from b2jobs_worker.attempt import Permit
from b2jobs_worker.delivery.used import used_signatures
from b2jobs_worker.permits import permit
from b2jobs_worker.settings import Settings

LOSSES_THAT_FAIL = 3

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Claim:
    """A job that is ours until its fencing number is outdated.

    trace: its place in its producer's trace. since, awaited: when it began to wait, for what.
    asked_at: when Redis was asked for it, by this machine's monotonic clock.
    """

    job_id: str
    fence: str
    attempt: int
    kind: str
    request: str
    elapsed_seconds: float
    retry_seconds: float
    losses: int
    is_cancelled: bool
    priority: str
    key: str
    signature: str = field(repr=False)
    is_used_up: bool
    trace: str = ""
    since: float = 0.0
    awaited: str = ""
    asked_at: float = float("-inf")

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The request, not validated yet.

        Raises:
            InvalidJob: `record_broken`.
        """
        try:
            found = json.loads(self.request)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise InvalidJob(
                "The request in the job's record is no JSON object.",
                code="record_broken",
                hint="Something else than b2jobs has written to Redis.",
            )
        return found

    @property
    def is_suspect(self) -> bool:
        """Its worker died under it twice in a row, without progress in between."""
        return self.losses == LOSSES_THAT_FAIL - 1

    @property
    def is_poison(self) -> bool:
        """It has killed enough workers: it is not run again."""
        return self.losses >= LOSSES_THAT_FAIL


@dataclass(frozen=True)
class Line:
    """Where the next job is taken from, by who has just ended one.

    queues: in their order. kinds: what is known here, as `,upload,copy,`.
    """

    queues: list[str]
    kinds: str


@dataclass(frozen=True)
class Ended:
    """What ending a job answers: the strays to remove, and the job that was taken after it."""

    strays: list[str]
    following: Claim | None = None


@dataclass(frozen=True)
class Outcome:
    """What an attempt left of its job: the record's state, and why where it is not done."""

    state: str
    failure: Failure | None = None


class Claims:
    """Takes jobs and writes what becomes of them. Thread-safe.

    Any call may raise `QueueUnavailable`.
    """

    def __init__(self, records: Records, settings: Settings) -> None:
        self.records = records
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self._settings = settings
        self.used = used_signatures(settings.cache_folder if records.ring.name else None)
        self._call = records.door.call

    def take(self, job_id: str) -> Claim | None:
        """Take the job, or None where there is nothing to do: held, ended, not due, unknown."""
        asked_at = time.monotonic()
        return self._taken(asked_at, job_id, self._ask_for(job_id))

    def _taken(self, asked_at: float, job_id: str, answer: list[Any]) -> Claim | None:
        if answer[0] == "expired":
            expired = Failure(
                code="expired",
                message="The job was not started before it expired.",
                hint="Submit it again, or give it more time with `expires`.",
                act="caller",
            )
            answer = self._ask_for(
                job_id,
                failure=expired.model_dump_json(),
                meta=failed_meta(expired),
                keep=self._settings.keep_failures_seconds,
            )
        if answer[0] != "claimed":
            logger.debug("doorbell of %s: the job is %s", job_id, answer[0])
            return None
        _, fence, attempt, kind, request, elapsed, retry, losses, cancel, *signed = answer
        priority, key, signature, used, trace, since, awaited = signed
        return Claim(
            job_id=job_id,
            fence=fence,
            attempt=int(attempt),
            kind=kind,
            request=request,
            elapsed_seconds=float(elapsed),
            retry_seconds=_number(retry),
            losses=int(_number(losses)),
            is_cancelled=cancel == "1",
            priority=priority,
            key=key,
            signature=signature,
            is_used_up=used == 1 or self.used.has(signature),
            trace=trace,
            since=_number(since),
            awaited=awaited,
            asked_at=asked_at,
        )

    def _ask_for(self, job_id: str, **more: str | float) -> list[Any]:
        answer: list[Any] = self._call("jobs/claim", id=job_id, **self._owner(), **more)
        return answer

    def _owner(self) -> dict[str, Any]:
        return {
            "worker": self.worker,
            "lease": self._settings.lease_seconds,
            "random": secrets.token_hex(4),
            "longest": MOST_REQUEST_BYTES,
        }

    def may_cancel(self, claim: Claim, signed: Signed | None) -> bool:
        """Whether somebody has cancelled the job whom this worker heeds; *signed* is who asked
        for it, None while that is not known.

        Raises:
            QueueUnavailable
        """
        records = self.records
        if not records.ring.required:
            return True
        if signed is None:
            return False
        with unavailable(records.url):
            said = records.redis.hget(f"{records.prefix}job:{claim.job_id}", "cancel_by")
        by, signature = str(said or ""), claim.signature
        return is_heeded(records.ring, by, "cancel", claim.job_id, signature, signed.producer)

    def check(self, claim: Claim) -> Signed:
        """Who signed the job; before this is known, nothing of it is touched.

        Raises:
            SignatureRefused: `signature_missing`, `signature_invalid`, `signature_expired`,
                `signature_used`.
        """
        submission = Submission(
            claim.job_id, claim.kind, claim.priority, claim.key, claim.request, claim.trace
        )
        signed = self.records.ring.check(submission, claim.signature)
        if not signed.token:
            return signed
        if claim.is_used_up:
            self.records.ring.told("signature_used")
            raise SignatureRefused(
                "The job was done before under this signature.",
                code="signature_used",
                hint="Somebody has put an old record or message into Redis again; whoever wants "
                "it done once more submits it, or retries it with a key.",
            )
        if claim.attempt == 1 and time.time() > signed.begins_until:
            self.records.ring.told("signature_expired")
            raise SignatureRefused(
                "The job was not begun while its signature was good.",
                code="signature_expired",
                hint="Submit it again.",
            )
        return signed

    def permit(self, producer: str, claim: Claim) -> Permit:
        """What a job of *producer* may do."""
        return permit(self._settings, producer, claim.priority)

    def still_holds(self, claim: Claim) -> str:
        """Ask Redis now, and renew: `ok`, `cancel`, `lost` or `gone`."""
        return self.renew([{"id": claim.job_id, "fence": claim.fence, "progress": ""}])[0]

    def journal(self, claim: Claim, fields: dict[str, str] | None) -> bool:
        """Add *fields* to the journal, or clear it with None. False: not ours any more."""
        ring, job_id = self.records.ring, claim.job_id
        fields = fields and {
            name: ring.seal(text, "journal", job_id, name) for name, text in fields.items()
        }
        return bool(
            self._call("jobs/journal", id=claim.job_id, fence=claim.fence, fields=fields or None)
        )

    def read_journal(self, job_id: str) -> dict[str, str]:
        with unavailable(self._settings.redis_url):
            found = cast(
                "dict[str, str]",
                self.records.redis.hgetall(f"{self.records.prefix}journal:{job_id}"),
            )
        return self.records.ring.unsealed_fields(found, "journal", job_id)

    def outcome(self, job_id: str) -> Outcome:
        """What became of the job, as its record says."""
        with unavailable(self._settings.redis_url):
            state, failure = cast(
                "list[str | None]",
                self.records.redis.hmget(f"{self.records.prefix}job:{job_id}", "state", "failure"),
            )
        return Outcome(state or "gone", Failure(**json.loads(failure)) if failure else None)

    def strays(self, job_id: str) -> list[str]:
        """What outdated owners of the job made and nobody has removed yet."""
        with unavailable(self._settings.redis_url):
            found = self.records.redis.smembers(f"{self.records.prefix}strays:{job_id}")
        return self._believed_strays(job_id, found)

    def succeed(
        self, claim: Claim, result: dict[str, Any], line: Line | None = None
    ) -> Ended | None:
        """End the job with *result*, and take the next of *line*; None where it is ours no more."""
        return self._finish(
            claim,
            "succeeded",
            self._settings.keep_results_seconds,
            line,
            result=json.dumps(result),
            meta=succeeded_meta(result),
        )

    def fail(self, claim: Claim, failure: Failure, line: Line | None = None) -> Ended | None:
        """End the job with *failure*; answers as `succeed`."""
        return self._finish(
            claim,
            "failed",
            self._settings.keep_failures_seconds,
            line,
            failure=failure.model_dump_json(),
            meta=failed_meta(failure),
        )

    def cancelled(self, claim: Claim, failure: Failure, line: Line | None = None) -> Ended | None:
        """End the job as cancelled; answers as `succeed`."""
        return self._finish(
            claim,
            "cancelled",
            self._settings.keep_results_seconds,
            line,
            failure=failure.model_dump_json(),
            meta=revoked_meta(),
        )

    def park(self, claim: Claim, reason: str, delay_seconds: float, failure: Failure) -> bool:
        """Let the job wait; the keeper rings when it is due. False: not ours any more."""
        return bool(
            self._call(
                "jobs/park",
                id=claim.job_id,
                fence=claim.fence,
                reason=reason,
                delay=delay_seconds,
                failure=failure.model_dump_json(),
            )
        )

    def hand_back(self, claim: Claim, losses: int = 0) -> bool:
        """Queue the job again, in front, for another worker. False: not ours any more.

        *losses* stay known of a job that was not tried.
        """
        return bool(self._call("jobs/hand_back", id=claim.job_id, fence=claim.fence, losses=losses))

    def ring_again(self, job_id: str) -> None:
        """Pass a doorbell on that this process does not answer."""
        self._call("jobs/ring_again", id=job_id)

    def disown(self, job_id: str, made: str) -> tuple[str, dict[str, Any] | None]:
        """Leave *made* to whoever ends the job; its state and, where it has ended, its result."""
        made = self.records.ring.seal(made, "stray", job_id)
        state, result = self._call("jobs/disown", id=job_id, made=made)
        return str(state), json.loads(result) if result else None

    def _finish(
        self, claim: Claim, state: State, keep: float, line: Line | None, **said: str
    ) -> Ended | None:
        asked_at = time.monotonic()
        following = line and {"queues": line.queues, "kinds": line.kinds, **self._owner()}
        answer, strays, *taken = self._call(
            "jobs/finish",
            id=claim.job_id,
            fence=claim.fence,
            state=state,
            keep=keep,
            next=following,
            **said,
        )
        if answer == "lost":
            return None
        self.used.add(claim.signature)
        following_claim = self._taken(asked_at, *taken) if taken else None
        return Ended(self._believed_strays(claim.job_id, strays), following_claim)

    def _believed_strays(self, job_id: str, found: Iterable[object]) -> list[str]:
        ring = self.records.ring
        sealed = sorted(str(stray) for stray in found)
        opened = (
            believed(lambda: ring.unseal(stray, "stray", job_id), None)  # noqa: B023 - called at once
            for stray in sealed
        )
        return [made for made in opened if made is not None]

    def renew(self, held: list[dict[str, str]]) -> list[str]:
        """Renew leases, each with its progress; the answer for each as in `still_holds`."""
        answers = self._call("jobs/beat", lease=self._settings.lease_seconds, held=held)
        return [str(answer) for answer in answers]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # not written by us
        return 0.0


def until_redis_answers(act: Callable[[], Answer], *, give_up: Callable[[], bool]) -> Answer:
    """Call *act* until Redis confirms it; the work is done, only the note is missing.

    Raises:
        QueueUnavailable: *give_up* said so in between.
    """
    pause = 0.1
    while True:
        try:
            return act()
        except QueueUnavailable:
            if give_up():
                raise
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
