"""One step of a planner: mend, plan, and rest or end."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterable
from typing import NoReturn

from b2jobs.errors import Failure, InternalError, JobError
from b2jobs_worker.attempt import Interrupted, Settled
from b2jobs_worker.batch.ledger.packs import Change, Entry, NewPack
from b2jobs_worker.batch.ledger.steering import Steering
from b2jobs_worker.batch.plan.packing import Group
from b2jobs_worker.batch.plan.source import MakePlan, NotYet, PlanSource
from b2jobs_worker.batch.plan.stream import KeptStreams, PlanStream
from b2jobs_worker.batch.planner import again, cost, ending, mending, spilling
from b2jobs_worker.batch.planner.desk import Desk
from b2jobs_worker.batch.planner.dry_run import dry_run
from b2jobs_worker.delivery.retry import lengthened

QUEUED_AHEAD = 16
MOST_UNDER_WAY = 4096
LOOK_EVERY_PACKS = 8
LONGEST_STEP_SECONDS = 10.0
LONGEST_REST_SECONDS = 10.0
PAUSED_SECONDS = 3600.0

logger = logging.getLogger(__name__)


class Step:
    """One step of a planner: mend, plan, and rest or end. Each of them raises at its end."""

    def __init__(self, desk: Desk, make_plan: MakePlan, kept: KeptStreams) -> None:
        self._desk = desk
        self._make_plan = make_plan
        self._kept = kept

    def run(self) -> NoReturn:
        """Plan as much as may be queued.

        Raises:
            Settled, Interrupted
        """
        self._desk.attempt.checkpoint()
        state = self._desk.state()
        if self._is_paused(state) and not self._is_over_and_done(state):
            self._rest("paused", PAUSED_SECONDS, low=-1, failure=cost.over(self._desk, state))
        if state.get("resumed"):
            self._desk.store.wake_packs(self._desk.attempt, "paused", after=state["resumed"])
            self._desk.note(resumed="")
        mending.mend(self._desk, state)
        delay = LONGEST_REST_SECONDS
        try:
            if not state.get("again"):  # which finds the segments by their numbers
                spilling.spill(self._desk, all_of_it=False)
            if not state.get("broken"):
                delay = self._go_on(state)
        except (Interrupted, Settled):
            raise
        except JobError as error:
            self._stumble(error, state)
        except Exception as error:
            logger.exception("batch %s: a bug ended its planning", self._desk.batch)
            bug = InternalError("internal_error", f"{type(error).__name__}: {error}")
            self._stumble(bug, state)
        self._settle(delay)

    def close(self) -> NoReturn:
        """Wait until the packs of a cancelled batch have ended, then end it.

        Raises:
            Settled, Interrupted
        """
        if self._desk.packs():
            mending.mend(self._desk, self._desk.state())
            self._desk.store.wake_packs(self._desk.attempt)
            if self._desk.packs():
                self._rest("window", 5.0, low=0)
        self._finish(cancelled=True)

    # -------------------------------------------------------------------------------------

    def _go_on(self, state: dict[str, str]) -> float:
        """Plan; for how long to rest at most when packs are under way."""
        window = Window(self._desk)
        if state.get("again"):
            if not again.plan_again(self._desk, state, window.has_room):
                return 2.0
            state = self._desk.state()
        if state.get("planned_all") or state.get("only_failed"):
            return LONGEST_REST_SECONDS
        source: PlanSource | None = None
        if "forecast" not in state:
            source = self._make_plan(self._desk.request, self._desk.attempt)
            self._forecast(source, state)
            state = self._desk.state()
        cursor = state.get("cursor", "")
        stream = self._kept.take(self._desk.batch, cursor)
        if stream is None:
            source = source or self._make_plan(self._desk.request, self._desk.attempt)
            stream = PlanStream(source, cursor, int(state.get("planned", 0)))
        return self._plan(stream, state, window)

    def _is_paused(self, state: dict[str, str]) -> bool:
        if not state.get("paused"):
            return False
        desk = self._desk
        steering = Steering(desk.store.records, desk.batch, desk.attempt.permit.producer)
        return desk.store.patiently(desk.attempt, lambda: steering.heeded("paused")) == "paused"

    def _is_over_and_done(self, state: dict[str, str]) -> bool:
        """Whether what was too much for its cap was the last of the batch."""
        planned = state.get("planned_all") or state.get("broken")
        return bool(state.get("over") and planned and not self._desk.packs())

    def _forecast(self, source: PlanSource, state: dict[str, str]) -> None:
        if not getattr(self._desk.request, "dry_run", False):
            failure = cost.estimated_over(self._desk, self._make_plan, state)
            if failure is not None:
                self._rest("paused", PAUSED_SECONDS, low=-1, failure=failure)
        forecast = source.forecast()
        if getattr(self._desk.request, "dry_run", False):
            ending.end_dry_run(self._desk, dry_run(self._desk, source, forecast, state))
            raise Settled
        if forecast.items is not None:
            self._desk.attempt.permit.items(forecast.items, forecast.size_bytes or 0)
        if forecast.refused and getattr(self._desk.request, "strict", False):
            raise ending.refused(forecast)
        self._desk.note(
            forecast="1",
            began=time.time(),
            total_items="" if forecast.items is None else forecast.items,
            total_bytes="" if forecast.size_bytes is None else forecast.size_bytes,
            refused=forecast.refused,
            samples=json.dumps(forecast.samples),
        )

    def _plan(self, stream: PlanStream, state: dict[str, str], window: Window) -> float:
        """Queue packs from *stream* until there are enough or it ends."""
        planned = int(state.get("planned", 0))
        size_bytes = int(state.get("planned_bytes", 0))
        number = int(state.get("packs", 0))
        began = time.monotonic()
        for group in stream:
            size_bytes += group.size_bytes()
            self._desk.attempt.permit.items(planned + group.items(), size_bytes)
            change = Change(
                fields={"cursor": group.cursor, "stumbles": "0"},
                counts={
                    "planned": group.items(),
                    "planned_bytes": group.size_bytes(),
                    "packs": len(group.packs),
                },
                packs=list(_new_packs(group, planned, number)),
            )
            self._desk.write(change)
            planned += group.items()
            number += len(group.packs)
            window.queued(len(group.packs))
            if not window.has_room() or time.monotonic() - began > LONGEST_STEP_SECONDS:
                self._kept.keep(self._desk.batch, group.cursor, stream)
                return 2.0
        if isinstance(stream.stopped, NotYet):
            return min(stream.stopped.seconds, LONGEST_REST_SECONDS)
        if stream.stopped is not None:
            raise stream.stopped
        self._desk.note(planned_all="1")
        return LONGEST_REST_SECONDS

    def _stumble(self, error: JobError, state: dict[str, str]) -> None:
        """Come back later after an error that may heal; else plan no further."""
        stumbles = int(state.get("stumbles", 0)) + 1
        since = float(state.get("stumbled_at") or 0) if stumbles > 1 else time.time()
        pause = _pause_before_next(error, stumbles)
        in_time = pause is not None and time.time() + pause - since <= self._desk.request.retry
        if pause is not None and error.wait is not None and error.wait.reason == "budget":
            in_time, stumbles = True, 0  # its time for failures begins anew
        if pause is not None and in_time:
            logger.info("batch %s: %s; again in %.1f s", self._desk.batch, error.code, pause)
            self._desk.note(stumbles=stumbles, stumbled_at=since, stumble=error.code)
            assert error.wait is not None
            self._rest(error.wait.reason, pause, low=-1, failure=error.failure(stumbles))
        if state.get("planned_all"):
            return
        failure = error.failure(stumbles)
        logger.warning("batch %s: no further plan: %s", self._desk.batch, failure)
        self._desk.note(broken=failure.model_dump_json())

    def _settle(self, delay: float) -> NoReturn:
        """Rest while packs are under way or more is to be planned; else end."""
        state = self._desk.state()
        under_way = len(self._desk.packs())
        finished = bool(state.get("planned_all") or state.get("broken"))
        finished = finished or bool(state.get("only_failed") and not state.get("again"))
        if under_way or not finished:
            low = 0 if finished else max(0, under_way - QUEUED_AHEAD // 2)
            waits_for_feed = not finished and not under_way
            self._rest("window", delay, low=-1 if waits_for_feed else low)
        self._finish(cancelled=False)

    def _finish(self, *, cancelled: bool) -> NoReturn:
        """Put the rest of the ledger away, where it has a place, and end."""
        state = self._desk.state()
        try:
            spilling.spill(self._desk, all_of_it=True)
        except JobError as error:
            if error.wait is not None:
                self._stumble(error, state)
            # The place does not take it, and the batch is done: the rest stays in Redis.
            logger.warning("batch %s: ledger stays in Redis: %s", self._desk.batch, error)
        ending.end(self._desk, self._desk.state(), cancelled=cancelled)
        raise Settled

    def _rest(
        self, reason: str, delay_seconds: float, *, low: int, failure: Failure | None = None
    ) -> NoReturn:
        self._desk.store.rest(self._desk.attempt, reason, delay_seconds, low, failure)
        raise Settled


class Window:
    """Whether more packs may be queued: a few more than are running, in the whole fleet."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._since_look = 0
        self._look()

    def queued(self, count: int) -> None:
        """Some packs were queued just now."""
        self._queued += count
        self._all += count
        self._since_look += count

    def has_room(self) -> bool:
        self._desk.attempt.checkpoint()
        if self._since_look >= LOOK_EVERY_PACKS:
            self._look()
        ahead = max(QUEUED_AHEAD, self._all - self._queued)
        return self._queued < ahead and self._all < MOST_UNDER_WAY

    def _look(self) -> None:
        packs = self._desk.packs()
        self._all = len(packs)
        self._queued = sum(state == "queued" for state, _ in packs.values())
        self._since_look = 0


def _new_packs(group: Group, planned: int, number: int) -> Iterable[NewPack]:
    position = planned
    for offset, pack in enumerate(group.packs):
        yield NewPack(
            number + offset, [Entry(position + at, 0, item) for at, item in enumerate(pack)]
        )
        position += len(pack)


def _pause_before_next(error: JobError, stumbles: int) -> float | None:
    """How long to wait after the planner's *stumbles*-th failure in a row; None for never."""
    if error.wait is None:
        return None
    if error.wait.seconds is not None:
        return lengthened(error.wait.seconds)
    return float(min(300, 2 ** min(stumbles, 16))) * random.random()
