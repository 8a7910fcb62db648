"""One schedule: what is submitted when, by cron expression or interval."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, ValidationError, field_validator, model_validator

from b2jobs.errors import InvalidJob
from b2jobs.model import Model
from b2jobs.requests import Job, build

NEVER = math.inf
"""When a schedule runs that runs no more."""
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Schedule(Model):
    """When a job is submitted, and what happens when it could not be in time.

    cron: five fields as Debian's cron has them, or six with seconds in front, in `timezone`.
    every: seconds between runs, counted from 1970-01-01 UTC, so 3600 means each full hour.
    jitter: up to so many seconds later, different for each slot, the same on each worker.
    missed: after a time without workers, `skip` what was missed or `run` it once.
    overlap: while the last run goes on, `skip` the slot, `wait` for its end, or `replace` it.
    """

    name: Annotated[str, Field(pattern=_NAME)]
    job: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    cron: str | None = None
    every: Annotated[float, Field(ge=1)] | None = None
    timezone: str = "UTC"
    jitter: Annotated[float, Field(ge=0)] = 0.0
    missed: Literal["skip", "run"] = "skip"
    overlap: Literal["skip", "wait", "replace"] = "skip"

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"there is no time zone {name!r}") from error
        return name

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise ValueError("a schedule needs either cron or every")
        if self.cron is not None:
            try:
                CronSim(self.cron, datetime(2026, 1, 1, tzinfo=UTC))
            except CronSimError as error:
                raise ValueError(f"cron {self.cron!r} is refused: {error}") from error
        if "key" in self.arguments:
            raise ValueError("a scheduled job has its key from its slot; leave key out")
        self.request()
        return self

    def request(self, key: str | None = None) -> Job:
        """The job that one run submits.

        Raises:
            InvalidJob
        """
        return build(self.job, self.arguments if key is None else {**self.arguments, "key": key})

    def slot_after(self, moment: float) -> float:
        """The first slot later than *moment*, in seconds since 1970; infinite when none comes.

        The slots are the same from wherever they are counted. In the night the clocks go
        forward, what was due in the hour left out runs right behind it; in the night they
        go back, a fixed time runs once and `*` runs in both hours.
        """
        if self.every is not None:
            slot = (math.floor(moment / self.every) + 1) * self.every
            return slot if slot > moment else slot + self.every
        assert self.cron is not None
        start = datetime.fromtimestamp(math.floor(moment), ZoneInfo(self.timezone))
        for found in CronSim(self.cron, start):
            # Begun in an hour that comes twice, the parser's first answers lie before it.
            slot = found.timestamp()
            if slot > moment:
                return slot
        return NEVER

    def fires_at(self, slot: float) -> float:
        """When *slot* is due: with jitter somewhat later, always the same for one slot."""
        if not self.jitter or slot == NEVER:
            return slot
        digest = blake2b(f"{self.name}:{slot:.3f}".encode(), digest_size=8).digest()
        return slot + self.jitter * int.from_bytes(digest) / 2**64

    def upcoming(self, moment: float, count: int) -> list[float]:
        """When the next *count* runs after *moment* are due; fewer where no more come."""
        found: list[float] = []
        slot = self.slot_after(moment)
        while len(found) < count and slot != NEVER:
            found.append(self.fires_at(slot))
            slot = self.slot_after(slot)
        return found

    def key(self, slot: float) -> str:
        """The key of the slot's job: however many keepers submit it, it is one job."""
        return f"schedule:{self.name}:{datetime.fromtimestamp(slot, UTC).isoformat()}"

    def timing(self) -> str:
        """What decides when slots are; another text means that they are counted anew."""
        return json.dumps([self.cron, self.every, self.timezone])


def define(name: str, values: dict[str, Any]) -> Schedule:
    """A schedule from a table of the config file or from the command line.

    Raises:
        InvalidJob: names what is wrong and the way out.
    """
    try:
        return Schedule(name=name, **values)
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidJob(
            f"The schedule {name!r} is refused: {f'{field}: ' if field else ''}"
            f"{str(cause or first['msg']).rstrip('.')}.",
            code="invalid_schedule",
            hint=str(getattr(cause, "hint", "")) or "`b2jobs docs schedules` has examples.",
            field=field,
        ) from error
