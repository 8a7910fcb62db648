"""What a kind of job does, apart from how it is delivered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from b2jobs.requests import Job
from b2jobs.results import Result
from b2jobs_worker.attempt import Attempt

Request = TypeVar("Request", bound=Job)


class Work(ABC, Generic[Request]):
    """The work of one kind; as it stands here it leaves nothing unfinished and makes nothing."""

    @abstractmethod
    def run(self, request: Request, attempt: Attempt) -> Result:
        """Take effect once, however often it is called for the same job.

        Raises:
            JobError: what went wrong, and whether it can heal.
            Interrupted: the attempt was told to end.
            Settled: the work has written the job's end, or how it waits, itself.
        """

    def abandon(self, request: Request, attempt: Attempt) -> None:
        """Remove what attempts left unfinished; the job ends without its effect.

        Raises:
            JobError: something is left; the journal still knows what.
        """

    def undo(self, request: Request, made: str) -> None:
        """Remove what an outdated owner made; *made* is from `traces`. Twice does nothing."""

    def traces(self, result: Result) -> str | None:
        """What this attempt newly made, to be undone if it turns out outdated; None for nothing."""
        del result
        return None
