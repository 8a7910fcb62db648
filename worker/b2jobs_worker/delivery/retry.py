"""What becomes of a job after an attempt failed: a pure decision."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from b2jobs.errors import JobError, WaitReason

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0
MOST_JITTER_SECONDS = 60.0
CREDENTIALS_LOOK_SECONDS = 30.0
"""Waiting for credentials is looked at this often: a change that nobody noticed costs no more."""


@dataclass(frozen=True)
class Again:
    """Try again after *delay_seconds*; until then the job waits for *reason*."""

    delay_seconds: float
    reason: WaitReason


@dataclass(frozen=True)
class End:
    """The job fails. *because* says why not again, where it could have been."""

    because: str = field(default="", compare=False)


def decide(
    error: JobError,
    *,
    attempt: int,
    elapsed_seconds: float,
    budget_seconds: float,
    jitter: Callable[[], float] = random.random,
) -> Again | End:
    """Decide from the failure, the number of this attempt, and the time used and allowed.

    A failure that cannot heal ends the job. One that names its time waits exactly that
    long, and up to a tenth or a minute more, so that a fleet does not come back in one instant;
    what waits for its account's budget of the day may do so for ever. Else
    the wait is exponential with full jitter (`jitter` gives 0 to 1): anything from zero
    to 1, 2, 4, ... 300 seconds (30 for credentials). A wait that would end behind the
    budget is not begun.
    """
    if error.wait is None:
        return End()
    if error.wait.seconds is not None:
        delay = lengthened(error.wait.seconds, jitter)
    else:
        is_credentials = error.wait.reason == "credentials"
        longest = CREDENTIALS_LOOK_SECONDS if is_credentials else LONGEST_BACKOFF_SECONDS
        ceiling = min(longest, FIRST_BACKOFF_SECONDS * 2 ** min(attempt - 1, 16))
        delay = ceiling * jitter()
    if elapsed_seconds + delay > budget_seconds and error.wait.reason != "budget":
        return End(
            f"It can be tried again in {delay:.0f} s, and the job's time for that, "
            f"{budget_seconds:.0f} s (retry), ends before."
        )
    return Again(delay, error.wait.reason)


def lengthened(seconds: float, jitter: Callable[[], float] = random.random) -> float:
    """A wait of *seconds*, somewhat longer, so that not all come back in one instant."""
    return seconds + min(seconds / 10, MOST_JITTER_SECONDS) * jitter()
