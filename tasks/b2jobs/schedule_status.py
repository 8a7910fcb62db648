"""Where a schedule stands: its next slot, what runs, and the last runs, as Redis keeps them."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter, ValidationError

RUNS_KEPT = 10
logger = logging.getLogger(__name__)


def _is_a_time(seconds: float) -> float:
    if seconds != math.inf and not 0 <= seconds <= 253_402_300_799:
        raise ValueError("no seconds since 1970, before the year 10000")
    return seconds


Moment = Annotated[float, AfterValidator(_is_a_time)]
"""Seconds since 1970; infinite for never."""


@dataclass
class Run:
    """One run: a slot and what became of it.

    state: that of its job, or `skipped` / `missed` where none was submitted.
    """

    slot: Moment
    state: str
    job: str = ""
    note: str = ""
    result: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None


@dataclass
class Status:
    """Where a schedule stands.

    waiting: a slot whose turn has come but whose run has not.
    paused: no slot runs until it is resumed; those that pass meanwhile are left out.
    """

    timing: str = ""
    next: Moment | None = None
    last_slot: Moment = 0.0
    runs: list[Run] | None = None
    waiting: bool = False
    paused: bool = False

    @property
    def last(self) -> Run | None:
        return self.runs[0] if self.runs else None

    @property
    def running(self) -> Run | None:
        """The latest run whose job has not been seen to end."""
        return next((run for run in self.runs or () if run.job and not _is_over(run)), None)

    def add(self, run: Run) -> None:
        self.runs = [run, *(self.runs or ())][:RUNS_KEPT]

    def dumped(self) -> str:
        return json.dumps(
            {
                "timing": self.timing,
                "next": self.next,
                "last_slot": self.last_slot,
                "waiting": self.waiting,
                **({"paused": True} if self.paused else {}),
                "runs": [
                    {name: value for name, value in run.__dict__.items() if value not in ("", None)}
                    for run in self.runs or ()
                ],
            }
        )


_STATUS = TypeAdapter(Status)


def status_of(text: str | None) -> Status:
    """The state of a schedule from what is stored; a fresh one from None, or what is none."""
    if not text:
        return Status()
    try:
        return _STATUS.validate_json(text)
    except ValidationError as error:
        logger.error("the state of a schedule cannot be read, and begins anew: %s", error)
        return Status()


def _is_over(run: Run) -> bool:
    return run.state in ("succeeded", "failed", "cancelled", "forgotten")
