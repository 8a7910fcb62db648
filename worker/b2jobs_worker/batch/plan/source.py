"""The port between what is to be done and how batches do it: a plan is a stream.

`b2jobs.batch` reads manifests, listings and submitted items; `b2jobs.sync` compares two
listings. Each is a `PlanSource`, made anew for every step of the planner, on any worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from b2jobs.items import Planned
from b2jobs.requests import Job
from b2jobs_worker.attempt import Attempt


@dataclass(frozen=True)
class Forecast:
    """What is known of a plan before it is run. None where only running it can tell.

    refused: lines that cannot be done; *samples* names the first of them.
    listing_calls: class C calls the plan's own listings cost, for the dry run.
    compared, lines: what a sync's dry run says besides: counts, and the plan's first lines.
    """

    items: int | None = None
    size_bytes: int | None = None
    refused: int = 0
    samples: tuple[str, ...] = ()
    listing_calls: int = 0
    compared: Mapping[str, int] = field(default_factory=dict)
    lines: Sequence[str] = ()


class PlanSource(Protocol):
    """A stream of what to do, with a position that survives the process."""

    def forecast(self) -> Forecast:
        """Look at the whole plan once, before its first item is run, in constant memory.

        Called once a batch, at its first step. May do nothing and return `Forecast()`. Raise
        a `JobError` to stop the batch before anything moves.
        """

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        """Everything behind *cursor* (empty: from the start), each with the cursor behind it.

        A cursor is any short text. Asked again with the same cursor the same items come, as
        far as the places they are read from have not changed. A stream that ends has come to
        the end of the plan. It must not hold what it has given: plans are longer than memory.

        Raises:
            NotYet: more will come later; the planner comes back.
            JobError: with `wait` the planner comes back to the last cursor, without it the
                batch ends as failed; what is already packed is finished first.
        """


class NotYet(Exception):
    """The plan goes on later: whoever feeds it has not come further."""

    def __init__(self, seconds: float = 5.0) -> None:
        super().__init__(f"more in about {seconds:g} s")
        self.seconds = seconds


MakePlan = Callable[[Job, Attempt], PlanSource]
"""Make the plan of a request: what a kind of batch registers its planner with."""
