"""Every error a user of b2jobs can meet.

    B2JobsError
    ├── InvalidJob          the caller: the request can never succeed as written
    ├── QueueUnavailable    the operator: Redis did not confirm
    ├── JobNotFound         the caller: no such job, or its record has expired
    ├── WordNotFound        the caller: no such word; it was delivered, or is forgotten
    ├── WaitTimeout         nobody: the job goes on, only the waiting has ended
    ├── JobFailed           a job ended with a Failure; who must act is in it
    ├── JobCancelled        somebody cancelled the job
    └── JobError            what ended or interrupted one attempt, on the worker
        ├── CallerError     act "caller": fix the request
        ├── OperatorError   act "operator": a key, a cap, a disk
        ├── PassingError    act "nobody": it heals by itself and is tried again
        └── InternalError   act "us": a bug in b2jobs

Errors cross Redis as data (`Failure`), never as pickles: see docs/errors.md for
every code and what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from b2jobs.printable import printable

if TYPE_CHECKING:
    from b2jobs.failure import Act as Act  # noqa: PLC0414 - and for others from here
    from b2jobs.failure import Failure as Failure  # noqa: PLC0414
else:

    def __getattr__(name: str) -> Any:
        """`Failure` from here too, without its pydantic for those who only catch errors."""
        if name not in ("Act", "Failure"):
            raise AttributeError(f"module 'b2jobs.errors' has no attribute {name!r}")
        from b2jobs import failure

        return getattr(failure, name)


WaitReason = Literal["backoff", "rate_limited", "cap", "credentials", "budget", "window", "paused"]


class B2JobsError(Exception):
    """The root: catching it catches everything b2jobs raises on purpose."""

    code: str = "error"
    hint: str = ""
    queued: int = 0
    """Of a list of jobs that was submitted, how many are queued all the same: the first."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InvalidJob(B2JobsError, ValueError):
    """The request can never succeed as written; nothing was queued.

    *field* names the argument, *value* is what was given.
    """

    def __init__(
        self, message: str, *, code: str = "invalid_request", hint: str = "", field: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.field = field


class QueueUnavailable(B2JobsError, ConnectionError):
    """Redis did not confirm. The job may exist: submit again with the same `key` to be sure."""

    code = "queue_unavailable"
    hint = "Check that Redis runs and that B2JOBS_REDIS_URL points at it."


class JobNotFound(B2JobsError, LookupError):
    """No record has this id: it never existed, or its retention time is over."""

    code = "job_not_found"


class WordNotFound(B2JobsError, LookupError):
    """No word has this id: it was delivered, or is forgotten."""

    code = "word_not_found"


class WaitTimeout(B2JobsError, TimeoutError):
    """The job did not end in time. It goes on."""

    code = "wait_timeout"


class JobFailed(B2JobsError):
    """A job ended without its effect. `failure` says why and who must act.

    It can be rebuilt from plain JSON, which is how it travels through Celery's
    result backend to `AsyncResult.get()`.
    """

    def __init__(self, failure: Failure | dict[str, Any], job: str = "") -> None:
        from b2jobs.failure import Failure

        self.failure = failure if isinstance(failure, Failure) else Failure(**failure)
        self.job = job
        self.code = self.failure.code
        self.hint = self.failure.hint
        super().__init__(self.failure.model_dump())

    def __str__(self) -> str:
        return str(self.failure)


class JobCancelled(B2JobsError):
    """The job was cancelled before it took effect."""

    code = "cancelled"


@dataclass(frozen=True)
class Wait:
    """How a job may go on after an error: why it waits, and for how long if that is known."""

    reason: WaitReason = "backoff"
    seconds: float | None = None


class JobError(B2JobsError):
    """What ended one attempt. With `wait` the job is tried again, without it it fails."""

    act: ClassVar[Act] = "us"

    def __init__(self, code: str, message: str, *, hint: str = "", wait: Wait | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.wait = wait

    def failure(self, attempts: int) -> Failure:
        from b2jobs.failure import Failure

        return Failure(
            code=self.code, message=self.message, hint=self.hint, act=self.act, attempts=attempts
        )


class CallerError(JobError):
    """The request is at fault: a missing source, a name B2 refuses."""

    act = "caller"


class OperatorError(JobError):
    """The installation is at fault: a credential, a capability, a cap, a disk."""

    act = "operator"


class PassingError(JobError):
    """It heals by itself: an outage, a limit, a broken connection. Tried again."""

    act = "nobody"

    def __init__(self, code: str, message: str, *, hint: str = "", wait: Wait | None = None):
        super().__init__(code, message, hint=hint, wait=wait or Wait())


class InternalError(JobError):
    """A bug in b2jobs. Please report it with the job's record."""

    act = "us"
