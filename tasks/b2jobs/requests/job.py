"""What every request has. A request is validated when it is submitted and again on the worker,
because a plain `send_task` skips the first. Unknown fields are refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from b2jobs.errors import InvalidJob
from b2jobs.model import Model
from b2jobs.requests.on_done import OnDone

Priority = Literal["high", "normal", "low"]
MostDollars = Annotated[float, Field(gt=0, allow_inf_nan=False)]
IfExists = Literal["version", "skip", "fail", "replace"]
State = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
Listed = tuple[str, int, str | None, float]
"""What a listing has shown of a file in B2: its id, size and SHA-1, and when, in seconds since
the epoch."""
INNER = object()
"""Marks a field that b2jobs sets by itself: nobody gives it, and nobody is told of it."""
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})
DEFAULT_RETRY_SECONDS = 24 * 3600.0
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+=~-]{0,254}\Z")


def check_job_id(job_id: str) -> None:
    """Refuse what cannot be a job's id: it becomes a part of keys, messages and a version's tag.

    Ids of b2jobs are UUIDs; whoever sends a Celery task may choose one. Allowed are 1 to 255
    letters, digits and `. _ : @ + = ~ -`, beginning with a letter or a digit.

    Raises:
        InvalidJob: `job_id_refused`
    """
    if not _JOB_ID.match(job_id):
        raise InvalidJob(
            f"{job_id[:120]!r} cannot be a job's id.",
            code="job_id_refused",
            hint="Allowed are 1 to 255 letters, digits and . _ : @ + = ~ -, "
            "beginning with a letter or a digit.",
            field="task_id",
        )


class Job(Model):
    """One request. Subclasses name their `kind`; the options here are common to all.

    key: the same key gives the same job, however often it is submitted.
    retry: for how many seconds from the first attempt failures that can heal are tried again.
    expires: seconds from submitting after which the job is no longer started.
    on_done: who is told when it ends: a Celery task, a webhook, or several of them.
    """

    kind: ClassVar[str] = ""

    key: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    priority: Priority = "normal"
    retry: Annotated[float, Field(ge=0, allow_inf_nan=False)] = DEFAULT_RETRY_SECONDS
    expires: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    on_done: OnDone = ()

    def arguments(self) -> dict[str, Any]:
        """The request as keyword arguments, without those left at their default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def given(cls) -> tuple[str, ...]:
        """The fields that whoever asks may give."""
        return tuple(
            name for name, field in cls.model_fields.items() if INNER not in field.metadata
        )
