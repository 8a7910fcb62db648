"""Periodic jobs: a chore of the keeper, which one worker at a time leads.

Each slot is submitted under the key of its name and time, and the state moves on only from
what it was when it was read: however many keepers fire, each slot runs once.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any, Literal

from b2jobs.commands import cancel
from b2jobs.errors import InvalidJob, JobNotFound, QueueUnavailable
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.schedule import Schedule, define
from b2jobs.schedule_status import Run, Status
from b2jobs.schedules import Listed, Schedules
from b2jobs_worker.settings import Settings

IN_TIME_SECONDS = 60.0
"""A slot at most this old was not missed: leaders change, Redis restarts."""
CLOCK_WENT_BACK_SECONDS = 86_400.0
LOOK_BACK_SECONDS = (60.0, 3600.0, 86_400.0, 8 * 86_400.0, 40 * 86_400.0, 400 * 86_400.0)
"""Where the latest slot is looked for after a downtime, instead of counting every one."""
LONGEST_TEXT_KEPT = 500

_NAMESPACE = uuid.UUID("6d0a7a58-6f6c-4d34-9c5d-7f9b6c0f6a11")

logger = logging.getLogger(__name__)


class ScheduleChore:
    """Fires what is due. Call `round` about once a second; any number of callers is safe."""

    def __init__(self, settings: Settings, records: Records) -> None:
        self.records = records
        self.schedules = Schedules(records)
        self._configured = {
            name: define(name, dict(values)) for name, values in settings.schedules.items()
        }

    def round(self) -> None:
        """One look at every schedule.

        Raises:
            QueueUnavailable
        """
        listed = self._with_configured(self.schedules.listed())
        if not listed:
            return
        with unavailable(self.records.url):
            seconds, micros = self.records.redis.time()
        for each in listed:
            try:
                self.tend(each, seconds + micros / 1e6)
            except (InvalidJob, JobNotFound) as error:
                logger.warning("schedule %s: %s", each.schedule.name, error)
            except QueueUnavailable:
                raise
            except Exception:  # one that breaks stops no other
                logger.exception("schedule %s: a bug", each.schedule.name)

    def tend(self, listed: Listed, now: float) -> None:
        """Bring one schedule up to *now*: note what ended, submit what is due."""
        schedule, before = listed.schedule, listed.stored
        status = listed.status
        was = status.dumped() if before else ""
        running = status.running
        if running is not None:
            self._look_at(running)
        fire = advance(schedule, status, now)
        if fire is not None:
            self._fire(listed, status, fire)
        if status.dumped() != was and not self.schedules.swap(schedule.name, before, status):
            logger.debug("schedule %s: another keeper was faster", schedule.name)

    def _fire(self, listed: Listed, status: Status, slot: float) -> None:
        schedule = listed.schedule
        running = status.running
        if running is not None and schedule.overlap == "replace":
            cancel(self.records, running.job)
        key = schedule.key(slot)
        name = str(uuid.uuid5(_NAMESPACE, f"{self.records.prefix}{key}"))
        # The slot's own time and token: a state that is put back does not run it twice.
        asked = self.records.ring.asked(listed.producer, uuid.UUID(name).hex, slot)
        job_id = self.records.submit(name, schedule.request(key), asked=asked)
        status.add(Run(slot, "queued", job_id))
        logger.info("schedule %s: slot %s is job %s", schedule.name, key, job_id)

    def _look_at(self, run: Run) -> None:
        try:
            record = self.records.get(run.job)
        except JobNotFound:
            run.state = "forgotten"
            return
        run.state = record.state
        if record.has_ended:
            run.failure = record.failure.model_dump() if record.failure else None
            run.result = _brief(record)

    def _with_configured(self, listed: list[Listed]) -> list[Listed]:
        """What Redis has, brought in line with the config file first."""
        known = {each.schedule.name: each for each in listed}
        changed = False
        for name, schedule in self._configured.items():
            if name not in known or known[name].schedule != schedule:
                self.schedules.add(schedule, "config")
                changed = True
        for name, each in known.items():
            if each.origin == "config" and name not in self._configured:
                self.schedules.remove(name, "config")
                changed = True
        return self.schedules.listed() if changed else listed


def advance(schedule: Schedule, status: Status, now: float) -> float | None:
    """Move *status* on to *now*; returns the slot to submit, or None.

    Slots only go forward, so a clock that is set back fires none twice; one that was far
    ahead and is right again does not silence the schedule.
    """
    if status.timing != schedule.timing() or status.last_slot > now + CLOCK_WENT_BACK_SECONDS:
        status.timing, status.next, status.last_slot = schedule.timing(), None, 0.0
        status.waiting = False
    if status.paused:
        status.next, status.waiting = None, False  # who resumes it begins with the next slot
        return None
    if status.next is None:
        status.next = schedule.slot_after(max(now, status.last_slot))
    if schedule.fires_at(status.next) > now:
        return None
    slot, after = _latest_due(schedule, status.next, now)
    if slot > status.next and schedule.overlap == "wait" and status.waiting:
        status.next = slot  # several came while one waited: the latest stands for them
    missed = now - schedule.fires_at(slot) > IN_TIME_SECONDS and not status.waiting
    if status.running is not None and not (missed and schedule.missed == "skip"):
        if schedule.overlap == "wait":
            status.waiting = True
            return None
        if schedule.overlap == "skip":
            status.add(Run(slot, "skipped", note="the run before it had not ended"))
            return _moved_on(status, slot, after, "skip")
    if missed and schedule.missed == "skip":
        status.add(Run(slot, "missed", note="no worker was there in time"))
        return _moved_on(status, slot, after, "skip")
    return _moved_on(status, slot, after, "run")


def _moved_on(
    status: Status, slot: float, after: float, act: Literal["run", "skip"]
) -> float | None:
    status.next, status.last_slot, status.waiting = after, slot, False
    return slot if act == "run" else None


def _latest_due(schedule: Schedule, first: float, now: float) -> tuple[float, float]:
    """The latest slot whose time has come, from *first* on, and the one behind it."""
    slot = first
    for window in LOOK_BACK_SECONDS:
        since = now - schedule.jitter - window
        if since <= first:
            break
        recent = schedule.slot_after(since)
        if schedule.fires_at(recent) <= now:
            slot = recent
            break
    while schedule.fires_at(after := schedule.slot_after(slot)) <= now:
        slot = after
    return slot, after


def _brief(record: Record) -> dict[str, Any] | None:
    """The result without what is long: it stays with the schedule when the record has gone."""
    if record.result is None:
        return None
    return {
        name: value
        for name, value in record.result.items()
        if name != "content" and len(str(value)) < LONGEST_TEXT_KEPT
    }
