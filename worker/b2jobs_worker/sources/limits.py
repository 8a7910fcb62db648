"""Which files take part by their age and size."""

from __future__ import annotations

import time
from dataclasses import dataclass

from b2jobs.requests.choosing import Choosing
from b2jobs_worker.attempt import Journal

_BEGAN = "began_millis"


@dataclass(frozen=True)
class Limits:
    """Ages as moments, milliseconds since the epoch: a file from *since* to *until* takes part."""

    since: float = float("-inf")
    until: float = float("inf")
    least_bytes: int = 0
    most_bytes: float = float("inf")

    @classmethod
    def of(cls, request: Choosing, now_millis: int) -> Limits:
        """What *request* says, told from *now_millis*."""

        def ago(seconds: float | None, otherwise: float) -> float:
            return otherwise if seconds is None else now_millis - seconds * 1000

        return cls(
            since=ago(request.max_age, float("-inf")),
            until=ago(request.min_age, float("inf")),
            least_bytes=request.min_size or 0,
            most_bytes=float("inf") if request.max_size is None else request.max_size,
        )

    @property
    def of_size(self) -> bool:
        """Whether sizes count."""
        return self.least_bytes > 0 or self.most_bytes < float("inf")

    def allow(self, size: int, modified_millis: int) -> bool:
        """Whether a file of this size and time takes part."""
        in_time = self.since <= modified_millis <= self.until
        return in_time and self.least_bytes <= size <= self.most_bytes


def began_millis(journal: Journal) -> int:
    """When the job has first asked: one moment for all its attempts, so that ages do not move."""
    said = journal.load().get(_BEGAN)
    if said:
        return int(said)
    now = round(time.time() * 1000)
    journal.record({_BEGAN: str(now)})
    return now
