"""What a pack asks of the work of single jobs, which runs its items."""

from __future__ import annotations

from typing import Protocol

from b2jobs.requests.job import Job
from b2jobs.results import Result
from b2jobs_worker.attempt import Attempt


class Mover(Protocol):
    """What runs one item: the work of a single job of its kind (`delivery.deliver.Work`)."""

    def run(self, request: Job, attempt: Attempt) -> Result: ...
    def abandon(self, request: Job, attempt: Attempt) -> None: ...
    def undo(self, request: Job, made: str) -> None: ...
    def traces(self, result: Result) -> str | None: ...
