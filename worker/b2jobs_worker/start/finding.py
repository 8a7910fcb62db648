"""One thing that is wrong when a worker starts, in one sentence with the way out."""

from __future__ import annotations

from dataclasses import dataclass

from b2jobs.errors import InvalidJob, JobError, QueueUnavailable


@dataclass(frozen=True)
class Finding:
    """What is wrong.

    heals: somebody can put it right while the worker runs, which notices by itself. Else the
    worker does not start.
    """

    code: str
    message: str
    hint: str = ""
    heals: bool = True

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.message}{hint} [{self.code}]"

    def as_json(self) -> dict[str, str]:
        return {
            "level": "warning" if self.heals else "error",
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


def finding(error: JobError | QueueUnavailable | InvalidJob, *, heals: bool) -> Finding:
    """What *error* says, as a finding."""
    return Finding(error.code, str(error), error.hint, heals)
