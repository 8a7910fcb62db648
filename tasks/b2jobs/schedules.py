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
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, cast

from pydantic import ValidationError

from b2jobs.errors import InvalidJob
from b2jobs.for_people import masked_all
from b2jobs.keyfile import WORKERS
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import json_object
from b2jobs.schedule import NEVER, Schedule
from b2jobs.schedule_status import Run, Status, status_of
from b2jobs.signed import SealRefused, believed
from b2jobs.signing import ANYONE

logger = logging.getLogger(__name__)


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
        upcoming = NEVER if status.paused else status.next
        if upcoming is None or (status.timing != self.schedule.timing() and not status.paused):
            upcoming = self.schedule.slot_after(time.time())  # as the keeper is about to find
        return {
            **masked_all(self.schedule.model_dump(mode="json", exclude_defaults=True)),
            "origin": self.origin,
            **({"paused": True} if status.paused else {}),
            "next": None if upcoming == NEVER else _shown(self.schedule.fires_at(upcoming)),
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
