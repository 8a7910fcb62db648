"""What a transfer may ask of the attempt it is part of.

The engine knows nothing of Celery, leases or Redis: it is handed an `Attempt`. The
delivery side implements it for real jobs; `DetachedAttempt` serves benches and tests.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from b2jobs.locations import Location
from b2jobs.requests import Job
from b2jobs_worker.tracing import NOWHERE, Trace

logger = logging.getLogger(__name__)


class Interrupted(Exception):
    """This attempt must end now: cancelled, handed back, or its lease is gone.

    Raised by `Attempt.checkpoint` and `Attempt.guard`; nothing but delivery/ catches it for good.
    `keep` says whether what is unfinished will be gone on with (handed back) or must be
    removed before leaving (cancelled). With a lost lease `keep` is true too, since the new
    owner goes on with the journal: a late owner removes only what it alone knows of.
    """

    def __init__(self, reason: str, *, keep: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.keep = keep


class Settled(Exception):
    """The work has itself written what became of its job, in one step with its effect.

    For works that write to Redis themselves (batches): delivery has nothing left to write.
    """


class Journal(Protocol):
    """What of a large transfer is done, so that any worker can go on.

    Small string fields, written in one round trip each and fenced: a write under an
    outdated lease raises `Interrupted`.
    """

    def load(self) -> dict[str, str]:
        """Everything recorded so far; empty for a fresh job."""

    def record(self, fields: dict[str, str]) -> None:
        """Add or overwrite *fields*; durable as far as Redis is when this returns."""

    def clear(self) -> None:
        """Forget everything: the transfer starts anew or is over."""


class Permit(Protocol):
    """What a job may do, by the policy for who asked for it (docs/security.md).

    All methods raise `CallerError` where a rule does not allow it: `policy_refused`, with the
    rule's name, or `limit_reached`.
    """

    @property
    def producer(self) -> str:
        """Who has signed the job; empty for nobody."""

    def request(self, job: Job, *, is_item: bool = False) -> None:
        """Whether *job*, or an item of one, may be done, as far as its text says."""

    def place(self, location: Location, *, is_written: bool) -> None:
        """Whether what is at *location* may be read, or changed."""

    def tell(self, task: str, url: str) -> None:
        """Whether the Celery task, or the webhook, may be told."""

    def size(self, size_bytes: int | None) -> None:
        """Whether a file of this size may be moved."""

    def items(self, count: int, size_bytes: int) -> None:
        """Whether one batch may have so many items and bytes."""


class Anything:
    """The permit of whoever no policy speaks of: everything."""

    producer = ""

    def request(self, job: Job, *, is_item: bool = False) -> None: ...

    def place(self, location: Location, *, is_written: bool) -> None: ...

    def tell(self, task: str, url: str) -> None: ...

    def size(self, size_bytes: int | None) -> None: ...

    def items(self, count: int, size_bytes: int) -> None: ...


class Attempt(Protocol):
    """One try of a job by one worker. All methods may be called from any thread."""

    @property
    def permit(self) -> Permit:
        """What its job may do."""

    @property
    def trace(self) -> Trace:
        """Under which its spans hang."""

    @property
    def job_id(self) -> str:
        """Also the tag an upload carries in its file info."""

    @property
    def number(self) -> int:
        """1 for the first attempt; above it an earlier one may have committed already."""

    @property
    def fence(self) -> str:
        """The fencing number: a script in Redis that is given an outdated one does nothing."""

    @property
    def journal(self) -> Journal:
        """Survives this attempt and this worker."""

    def checkpoint(self) -> None:
        """Raise `Interrupted` when the attempt must end. No I/O: call it for every chunk."""

    def guard(self, *, anew: bool = False) -> None:
        """Make sure that the lease still holds; call it right before what commits.

        Redis is asked unless it has said so within the last second, or at once where *anew*:
        a script has just said otherwise, and this says why.

        Raises:
            Interrupted: the job is cancelled or belongs to somebody else by now.
        """

    def progress(self, phase: str, done_bytes: int, total_bytes: int | None = None) -> None:
        """Tell how far the transfer is. Cheap; published at most four times a second.

        Phases: hashing, sending, receiving, copying, finishing, verifying.

        Raises:
            CallerError: `limit_reached`, when it is more than the job may move.
        """

    def on_interrupt(self, act: Callable[[], None]) -> AbstractContextManager[None]:
        """While the context lasts, call *act* (from another thread) when the attempt must end.

        For closing a socket that a blocked read is waiting on.
        """


class InterruptibleAttempt:
    """The part of an `Attempt` that is the same wherever the order to end comes from."""

    job_id: str

    def __init__(self) -> None:
        self.permit: Permit = Anything()
        self.trace: Trace = NOWHERE
        self._interrupted: Interrupted | None = None
        self._acts: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def checkpoint(self) -> None:
        told = self._interrupted
        if told is not None:
            # A new one each time: one exception raised in all threads would hold the frames
            # of all of them, and what lies in those.
            raise Interrupted(told.reason, keep=told.keep)

    def on_interrupt(self, act: Callable[[], None]) -> AbstractContextManager[None]:
        return _WhileIt(self, act)

    def _add(self, act: Callable[[], None]) -> None:
        with self._lock:
            self._acts.append(act)
        try:
            self.checkpoint()
        except Interrupted:
            self._drop(act)
            raise

    def _drop(self, act: Callable[[], None]) -> None:
        with self._lock:
            self._acts.remove(act)

    def interrupt(self, reason: str, *, keep: bool) -> None:
        """Ask the attempt to end; the first reason counts, and asked again it does nothing.

        An act that fails is logged and keeps none of the others from being called.
        """
        with self._lock:
            if self._interrupted is not None:
                return
            self._interrupted = Interrupted(reason, keep=keep)
            acts = list(self._acts)
        for act in acts:
            try:
                act()
            except Exception:
                logger.exception("job %s: an interruption failed", self.job_id)


class _WhileIt(AbstractContextManager[None]):
    """`on_interrupt`, entered several times for each small file: a generator would take thrice."""

    __slots__ = ("_act", "_attempt")

    def __init__(self, attempt: InterruptibleAttempt, act: Callable[[], None]) -> None:
        self._attempt = attempt
        self._act = act

    def __enter__(self) -> None:
        self._attempt._add(self._act)

    def __exit__(self, *_: object) -> None:
        self._attempt._drop(self._act)


class Uninterrupted:
    """An attempt for cleaning up after *attempt*: same job, same journal, not to be stopped."""

    def __init__(self, attempt: Attempt) -> None:
        self.job_id = attempt.job_id
        self.permit = attempt.permit
        self.trace = attempt.trace
        self.number = attempt.number
        self.fence = attempt.fence
        self.journal = attempt.journal

    def checkpoint(self) -> None:
        """Goes on."""

    def guard(self, *, anew: bool = False) -> None:
        """Goes on: only what this job made is ever cleaned up."""

    def progress(self, phase: str, done_bytes: int, total_bytes: int | None = None) -> None:
        """Says nothing."""

    def on_interrupt(self, act: Callable[[], None]) -> AbstractContextManager[None]:
        del act
        return nullcontext()


class MemoryJournal:
    """A journal for one process."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    def load(self) -> dict[str, str]:
        return dict(self.fields)

    def record(self, fields: dict[str, str]) -> None:
        self.fields.update(fields)

    def clear(self) -> None:
        self.fields.clear()


class DetachedAttempt(InterruptibleAttempt):
    """An attempt that belongs to no queue: for benches and for tests of the engine alone."""

    def __init__(
        self, job_id: str = "detached", *, number: int = 1, journal: Journal | None = None
    ) -> None:
        super().__init__()
        self.job_id = job_id
        self.number = number
        self.fence = ""  # no record, no owner
        self.journal: Journal = journal if journal is not None else MemoryJournal()
        self.published: list[dict[str, Any]] = []

    def guard(self, *, anew: bool = False) -> None:
        del anew
        self.checkpoint()

    def progress(self, phase: str, done_bytes: int, total_bytes: int | None = None) -> None:
        self.published.append({"phase": phase, "done": done_bytes, "total": total_bytes})

    def interrupt(self, reason: str = "cancelled", *, keep: bool = False) -> None:
        """Ask the attempt to end, as delivery would."""
        super().interrupt(reason, keep=keep)
