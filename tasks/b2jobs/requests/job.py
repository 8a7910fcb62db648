"""What every request has. A request is validated when it is submitted and again on the worker,
because a plain `send_task` skips the first. Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Priority = Literal["high", "normal", "low"]
IfExists = Literal["version", "skip", "fail", "replace"]
State = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})
DEFAULT_RETRY_SECONDS = 24 * 3600.0


class Job(BaseModel):
    """One request. Subclasses name their `kind`; the options here are common to all.

    key: the same key gives the same job, however often it is submitted.
    retry: for how many seconds from the first attempt failures that can heal are tried again.
    expires: seconds from submitting after which the job is no longer started.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = ""

    key: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    priority: Priority = "normal"
    retry: Annotated[float, Field(ge=0)] = DEFAULT_RETRY_SECONDS
    expires: Annotated[float, Field(gt=0)] | None = None

    def arguments(self) -> dict[str, Any]:
        """The request as keyword arguments, without those left at their default."""
        return self.model_dump(mode="json", exclude_defaults=True)
