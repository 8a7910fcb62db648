"""Schedules: jobs that are submitted again and again, by cron expression or interval.

Those of the config file and those added from the command line stand in Redis side by side;
the keeper of some worker fires them (worker/b2jobs_worker/schedule.py).

Keys, behind the prefix and `b2jobs:`

    schedules         hash: name -> definition, as JSON
    schedule-states   hash: name -> next slot, what runs, the last runs, as JSON
"""

from __future__ import annotations

import json
import logging
import math
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self, cast
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, ValidationError, field_validator, model_validator

from b2jobs.errors import InvalidJob
from b2jobs.for_people import masked_all
from b2jobs.keyfile import WORKERS
from b2jobs.model import Model
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import json_object
from b2jobs.requests import Job, build
from b2jobs.schedule_status import Run, Status, status_of
from b2jobs.signed import SealRefused, believed
from b2jobs.signing import ANYONE

logger = logging.getLogger(__name__)
_NEVER = math.inf
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
        return _NEVER

    def fires_at(self, slot: float) -> float:
        """When *slot* is due: with jitter somewhat later, always the same for one slot."""
        if not self.jitter or slot == _NEVER:
            return slot
        digest = blake2b(f"{self.name}:{slot:.3f}".encode(), digest_size=8).digest()
        return slot + self.jitter * int.from_bytes(digest) / 2**64

    def upcoming(self, moment: float, count: int) -> list[float]:
        """When the next *count* runs after *moment* are due; fewer where no more come."""
        found: list[float] = []
        slot = self.slot_after(moment)
        while len(found) < count and slot != _NEVER:
            found.append(self.fires_at(slot))
            slot = self.slot_after(slot)
        return found

    def key(self, slot: float) -> str:
        """The key of the slot's job: however many keepers submit it, it is one job."""
        return f"schedule:{self.name}:{datetime.fromtimestamp(slot, UTC).isoformat()}"

    def timing(self) -> str:
        """What decides when slots are; another text means that they are counted anew."""
        return json.dumps([self.cron, self.every, self.timezone])


@dataclass(frozen=True)
class Listed:
    """A schedule as `b2jobs schedule list` shows it. producer: whose key has sealed it."""

    schedule: Schedule
    origin: Literal["config", "added"]
    stored: str | None
    status: Status
    producer: str = ""

    def as_json(self) -> dict[str, Any]:
        """With the locations of its arguments as people see them: no bytes, no signed URLs."""
        status = self.status
        upcoming = _NEVER if status.paused else status.next
        if upcoming is None or (status.timing != self.schedule.timing() and not status.paused):
            upcoming = self.schedule.slot_after(time.time())  # as the keeper is about to find
        return {
            **masked_all(self.schedule.model_dump(mode="json", exclude_defaults=True)),
            "origin": self.origin,
            **({"paused": True} if status.paused else {}),
            "next": None if upcoming == _NEVER else _shown(self.schedule.fires_at(upcoming)),
            "runs": [
                {**{k: v for k, v in run.__dict__.items() if v not in ("", None)},
                 "slot": _shown(run.slot)}
                for run in status.runs or ()
            ],
        }  # fmt: skip

    def next_runs(self, count: int) -> list[datetime]:
        """When the next *count* runs are due; none of one that is paused."""
        if self.status.paused:
            return []
        since = max(time.time(), self.status.last_slot)
        return [datetime.fromtimestamp(due, UTC) for due in self.schedule.upcoming(since, count)]


_Definition = tuple[Schedule, Literal["config", "added"], str]
"""A schedule, where it comes from, and whose key has sealed it."""


class Schedules:
    """The schedules of one installation. Any call may raise `QueueUnavailable`."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self._definitions = f"{records.prefix}schedules"
        self._states = f"{records.prefix}schedule-states"

    def add(self, schedule: Schedule, origin: Literal["config", "added"] = "added") -> None:
        """Add or replace. Its first slot is the next one from now.

        Raises:
            InvalidJob: the config file has a schedule of that name.
        """
        if origin == "added":
            existing = self._definition(schedule.name)
            if existing is not None and existing[1] == "config":
                raise _in_config(schedule.name)
        text = json.dumps({"origin": origin, **schedule.model_dump(exclude_defaults=True)})
        text = self.records.ring.seal(text, "schedule", schedule.name)
        with unavailable(self.records.url):
            self.records.redis.hset(self._definitions, schedule.name, text)

    def remove(self, name: str, origin: Literal["config", "added"] = "added") -> bool:
        """Forget it; a run under way goes on. Whether it was there.

        Raises:
            InvalidJob: it comes from the config file.
        """
        existing = self._definition(name)
        if existing is not None and existing[1] == "config" and origin == "added":
            raise _in_config(name)
        with unavailable(self.records.url):
            pipe = self.records.redis.pipeline()
            pipe.hdel(self._definitions, name)
            pipe.hdel(self._states, name)
            return bool(pipe.execute()[0])

    def listed(self) -> list[Listed]:
        """All of them, by name."""
        with unavailable(self.records.url):
            pipe = self.records.redis.pipeline(transaction=False)
            pipe.hgetall(self._definitions)
            pipe.hgetall(self._states)
            definitions, states = pipe.execute()
        return sorted(
            (
                Listed(schedule, origin, stored, self.status_of(name, stored), producer)
                for name, text in definitions.items()
                for schedule, origin, producer in self._readable(name, text)
                for stored in [states.get(name)]
            ),
            key=lambda listed: listed.schedule.name,
        )

    def get(self, name: str) -> Listed:
        """The schedule *name* and where it stands.

        Raises:
            InvalidJob: there is no such schedule.
        """
        for listed in self.listed():
            if listed.schedule.name == name:
                return listed
        raise unknown(name)

    def pause(self, name: str) -> bool:
        """Begin no run of it until `resume`, also where it stands in the config file; whether
        it was not paused before. A run under way goes on, and `run` begins one all the same.

        Raises:
            InvalidJob: there is no such schedule.
        """
        return self._set_paused(name, True)

    def resume(self, name: str) -> bool:
        """Go on with the next slot from now on; whether it was paused.

        Raises:
            InvalidJob: there is no such schedule.
        """
        return self._set_paused(name, False)

    def _set_paused(self, name: str, paused: bool) -> bool:
        if self._definition(name) is None:
            raise unknown(name)
        while True:
            before = self.state(name)
            status = self.status_of(name, before)
            if status.paused == paused:
                return False
            status.paused, status.next, status.waiting = paused, None, False
            if self.swap(name, before, status):
                return True

    def run(self, name: str) -> str:
        """Start a run now, beside the slots; returns the job's id.

        Raises:
            InvalidJob: there is no such schedule, or it was sealed with a key that is not here.
        """
        existing = self._definition(name, vouched=True)
        if existing is None:
            raise unknown(name)
        now = time.time()
        schedule, _, producer = existing
        ring = self.records.ring
        asked = ring.asked(producer) if ring.is_workers else None
        job_id = self.records.submit(str(uuid.uuid4()), schedule.request(), asked=asked)
        while True:
            before = self.state(name)
            status = self.status_of(name, before)
            status.add(Run(now, "queued", job_id, note="started by hand"))
            if self.swap(name, before, status):
                return job_id

    def state(self, name: str) -> str | None:
        """The state as it is stored, for `swap`."""
        with unavailable(self.records.url):
            return cast("str | None", self.records.redis.hget(self._states, name))

    def swap(self, name: str, before: str | None, after: Status) -> bool:
        """Store *after* where the state is still *before*; whether it was."""
        return bool(
            self.records.door.call(
                "fleet/swap_schedule",
                name=name,
                before=before or "",
                after=self.records.ring.seal(after.dumped(), "schedule-state", name),
            )
        )

    def status_of(self, name: str, stored: str | None) -> Status:
        """The state of a schedule from what is stored; a fresh one where it is not believed."""
        ring = self.records.ring
        return status_of(
            believed(lambda: ring.unseal(stored or "", "schedule-state", name, by=ANYONE), "")
            if stored
            else None
        )

    def _definition(self, name: str, *, vouched: bool = False) -> _Definition | None:
        with unavailable(self.records.url):
            text = cast("str | None", self.records.redis.hget(self._definitions, name))
        return None if text is None else next(self._readable(name, text, vouched=vouched), None)

    def _readable(self, name: str, text: str, *, vouched: bool = False) -> Iterator[_Definition]:
        """The definition, unless its seal or what another version of b2jobs wrote is refused.

        *vouched*: who cannot check the seal does not go on.
        """
        ring = self.records.ring
        try:
            if vouched and ring.name:
                ring.sealed_by(text, "schedule", name)
            content = ring.unseal(text, "schedule", name, by=ANYONE)
            producer = ring.sealed_by(text, "schedule", name) if ring.is_workers else ""
            schedule, origin = _parsed(content)
            if producer and origin == "config" and producer != WORKERS:
                raise SealRefused(f"{producer} is not who writes down the config file's schedules.")
            if schedule.name == name:
                yield schedule, origin, producer
        except SealRefused as error:
            if vouched:
                raise InvalidJob(
                    f"The schedule {name!r} was sealed with a key that is not here.",
                    code="seal_refused",
                    hint="Run it with the keys of its producer, or on a worker's machine.",
                ) from error
            logger.error("schedule %s: %s %s", name, error, error.hint)
        except (ValidationError, InvalidJob, KeyError, TypeError, ValueError):
            return


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


@cache
def _parsed(text: str) -> tuple[Schedule, Literal["config", "added"]]:
    values = json_object(text)
    return Schedule(**{k: v for k, v in values.items() if k != "origin"}), values["origin"]


def unknown(name: str) -> InvalidJob:
    """There is no schedule of this name."""
    return InvalidJob(
        f"There is no schedule {name!r}.",
        code="unknown_schedule",
        hint="`b2jobs schedule list` shows those there are.",
        field="name",
    )


def _in_config(name: str) -> InvalidJob:
    return InvalidJob(
        f"The schedule {name!r} stands in the config file.",
        code="schedule_in_config",
        hint="Change it there, or choose another name.",
        field="name",
    )


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
