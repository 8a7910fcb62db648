"""One attempt at a pack."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from b2jobs.errors import Failure, JobError, PassingError, QueueUnavailable
from b2jobs.items import Refusal
from b2jobs.ledger import segment
from b2jobs.requests import Pack
from b2jobs_worker.attempt import Attempt, Interrupted, Settled
from b2jobs_worker.batch.ledger.kept import drop_content, keep_content
from b2jobs_worker.batch.ledger.outcome import Outcome, ledger_line, of_failure
from b2jobs_worker.batch.ledger.packs import Entry, OpenPack
from b2jobs_worker.batch.ledger.steering import Steering
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.pack.item_attempt import ItemAttempt, PackJournal
from b2jobs_worker.batch.pack.strays import Strays
from b2jobs_worker.batch.pack.threads import TICK_SECONDS, Threads
from b2jobs_worker.batch.pack.trying import Tried, Trying
from b2jobs_worker.work import Work

FLUSH_SECONDS = 0.1
FLUSH_ITEMS = 64
LOOK_SECONDS = 0.5
PAUSE_GRACE_SECONDS = 1.0
FAILURES_THAT_STOP = 32
HOLD_FOR_ALL = ("cap", "rate_limited", "credentials", "budget")
"""What an item waits for that its neighbours would wait for too."""

logger = logging.getLogger(__name__)


class PackRun:
    """Runs, records and seals; see `PackWork`. Only the calling thread writes to Redis."""

    def __init__(
        self,
        request: Pack,
        attempt: Attempt,
        opened: OpenPack,
        store: Store,
        movers: Mapping[str, Work[Any]],
    ) -> None:
        self.attempt: Attempt = attempt
        self.opened = opened
        self.journal = PackJournal(attempt)
        self._batch = request.batch
        self._number = request.number
        self._store = store
        self._trying = Trying(movers, opened.orders)
        self._strays = Strays(attempt.job_id, opened, movers, store.records.ring)
        self._steering = Steering(store.records, request.batch, attempt.permit.producer)
        self._outcomes = dict(opened.outcomes)
        self._actions = {
            entry.position: "none" if isinstance(entry.planned, Refusal) else entry.planned.action
            for entry in opened.entries
        }
        self._arrived: deque[tuple[int, Tried]] = deque()
        self._unowned: dict[int, Tried] = {}
        self._under_way: set[ItemAttempt] = set()
        self._lock = threading.Lock()
        self._flushed_at = 0.0
        self._error: JobError | None = None
        self._passing_in_a_row = 0
        self._threads: Threads[Entry] | None = None

    def tag(self, entry: Entry) -> str:
        """What marks the version that an item makes, in every pack it is ever in."""
        return f"{self._batch}.{entry.position}"

    def unfinished(self) -> list[Entry]:
        """The items that have no outcome yet."""
        return [entry for entry in self.opened.entries if entry.position not in self._outcomes]

    def guard(self, *, anew: bool = False) -> None:
        self.attempt.guard(anew=anew)

    def moved(self) -> None:
        """Progress is added up when outcomes are written."""

    def run(self) -> NoReturn:
        standing = self._record([])
        if standing == "ok":
            standing = self._work(self.unfinished())
        if standing == "cancel":
            self._cancel_rest()
        elif standing == "paused" and self.unfinished():
            self._store.pause_pack(self.attempt, self._batch)
            raise Settled
        if self.unfinished():
            raise self._error or PassingError("item_failed", "Some items failed for now.")
        self._seal()

    # -- the items ------------------------------------------------------------------------

    def _work(self, todo: list[Entry]) -> str:
        """Run *todo*; how the batch stood at the end."""
        threads = self._threads = Threads(self._one, todo, len(todo))
        standing = "ok"
        stop_at = float("inf")
        interrupted: Interrupted | None = None
        with self._passing_on():
            while not threads.is_done.wait(TICK_SECONDS):
                threads.grow()
                said = self._look()
                if said != "ok" and standing == "ok":
                    standing = said
                    threads.stop()
                    stop_at = time.monotonic() + (PAUSE_GRACE_SECONDS if said == "paused" else 0)
                if time.monotonic() >= stop_at:
                    stop_at = float("inf")
                    self._interrupt_items(Interrupted(standing, keep=standing != "cancel"))
                if interrupted is None:
                    interrupted = self._interruption()
                    if interrupted is not None:
                        threads.stop()
                        self._interrupt_items(interrupted)
        self._flush()
        if interrupted is None:
            interrupted = self._interruption()
        if interrupted is not None and interrupted.reason == "cancelled":
            return "cancel"
        if interrupted is not None:
            raise interrupted
        return standing

    def _one(self, entry: Entry) -> None:
        """Run one item; never raises."""
        position = entry.position
        if isinstance(entry.planned, Refusal):
            refusal = entry.planned
            failure = Failure(code=refusal.code, message=refusal.message, act="caller", attempts=0)
            self._arrived.append((position, Tried(of_failure(refusal, failure))))
            return
        before = self.opened.tries.get(position)
        again = entry.earlier > 0 or before is not None or self.attempt.number > 1
        attempt = ItemAttempt(self, self.tag(entry), 2 if again else 1, position)
        with self._lock:
            self._under_way.add(attempt)
        try:
            about = {"item": entry.position, "action": entry.planned.action}
            with self.attempt.trace.part("b2jobs.item", **about) as attempt.trace:
                tried = self._trying.run(entry, attempt, before)
                if tried.error is not None:
                    attempt.trace.ends("again", tried.error.code)
                elif isinstance(tried.found, Outcome):
                    attempt.trace.ends(tried.found.status, tried.found.code)
        finally:
            with self._lock:
                self._under_way.discard(attempt)
        if tried.found is not None:
            self._arrived.append((position, tried))
        self._weigh(tried)

    def _weigh(self, tried: Tried) -> None:
        """Stop beginning items when a limit holds for all of them."""
        error = tried.error
        if error is None:
            if tried.found is not None:
                self._passing_in_a_row = 0
            return
        self._passing_in_a_row += 1
        holds_for_all, _ = pause = _pause(error)
        if self._error is None or pause > _pause(self._error):
            self._error = error
        many = self._passing_in_a_row >= FAILURES_THAT_STOP
        if (holds_for_all or many) and self._threads is not None:
            self._threads.stop()

    @contextmanager
    def _passing_on(self) -> Iterator[None]:
        """What interrupts the pack interrupts its items at once."""

        def pass_on() -> None:
            interrupted = self._interruption()
            if interrupted is not None:
                self._interrupt_items(interrupted)

        try:
            with self.attempt.on_interrupt(pass_on):
                yield
        except Interrupted as interrupted:
            assert self._threads is not None
            self._threads.stop()
            self._interrupt_items(interrupted)
            self._threads.is_done.wait()

    def _interruption(self) -> Interrupted | None:
        try:
            self.attempt.checkpoint()
        except Interrupted as interrupted:
            return interrupted
        return None

    def _interrupt_items(self, interrupted: Interrupted) -> None:
        with self._lock:
            under_way = list(self._under_way)
        for item in under_way:
            item.interrupt(interrupted.reason, keep=interrupted.keep)

    # -- the ledger -----------------------------------------------------------------------

    def _look(self) -> str:
        """Write what has arrived if it is time; how the batch stands."""
        now = time.monotonic()
        waited = now - self._flushed_at
        due = len(self._arrived) >= FLUSH_ITEMS or (self._arrived and waited > FLUSH_SECONDS)
        if not due and waited <= LOOK_SECONDS:
            return "ok"
        return self._flush()

    def _flush(self) -> str:
        arrived: list[tuple[int, Tried]] = []
        while self._arrived:
            arrived.append(self._arrived.popleft())
        return self._record(arrived)

    def _record(self, arrived: list[tuple[int, Tried]]) -> str:
        calls: Counter[str] = Counter()
        dollars = 0.0
        for _, tried in arrived:
            calls.update(tried.calls)
            dollars += tried.dollars
        outcomes = [(position, tried.found) for position, tried in arrived if tried.found]
        try:
            standing = self._store.record(
                self.attempt, self._batch, outcomes, calls, dollars, self._actions
            )
        except (Interrupted, QueueUnavailable):
            # Redis is away and the attempt must end: a later one finds by its tag what is done.
            logger.warning("%s: %d outcomes not recorded", self.attempt.job_id, len(outcomes))
            return "ok"
        self._flushed_at = time.monotonic()
        if standing == "lost":
            self._unowned.update(arrived)
            self._leave()
            return "ok"
        for position, found in outcomes:
            if isinstance(found, Outcome):
                self._outcomes[position] = found
        self._tell_progress()
        return self._heeded(standing)

    def _heeded(self, standing: str) -> str:
        try:
            return self._steering.heeded(standing)
        except QueueUnavailable:
            return "ok"  # it is looked at again soon

    def _tell_progress(self) -> None:
        with self._lock:
            done = sum(item.done_bytes for item in self._under_way)
            total = sum(item.total_bytes or 0 for item in self._under_way)
            phase = next((item.phase for item in self._under_way if item.phase), "")
        self.attempt.progress(phase or "sending", done, total or None)

    def _leave(self) -> None:
        """The pack belongs to somebody else: remove what they do not know of, and end."""
        if self._threads is not None:
            self._threads.stop()
            self._interrupt_items(Interrupted("lease_lost", keep=True))
            self._threads.is_done.wait()
        while self._arrived:
            position, tried = self._arrived.popleft()
            self._unowned[position] = tried
        made = {at: tried.made for at, tried in self._unowned.items() if tried.made}
        self._unowned.clear()
        self._strays.leave(self._store, self._batch, self._number, made)
        raise Interrupted("lease_lost", keep=True)

    def _cancel_rest(self) -> None:
        failure = Failure(code="cancelled", message="The batch was cancelled.", act="caller")
        rest = [
            (entry.position, Tried(of_failure(entry.planned, failure)))
            for entry in self.unfinished()
        ]
        self._record(rest)
        for position, tried in rest:
            if isinstance(tried.found, Outcome):
                self._outcomes.setdefault(position, tried.found)

    def _seal(self) -> NoReturn:
        lines = []
        for entry in self.opened.entries:
            outcome = self._outcomes[entry.position]
            said = keep_content(self._store, self.attempt, self._batch, entry.planned, outcome)
            lines.append(ledger_line(entry.position, said, outcome))
        strays = self._store.seal(self.attempt, self._batch, self._number, segment(lines))
        if strays is None:
            self._leave()
            raise Interrupted("lease_lost", keep=True)
        self._strays.remove(strays, self._outcomes)
        for entry in self.opened.entries:
            if self._outcomes[entry.position].is_done:
                drop_content(self._store, self._batch, entry.planned)
        raise Settled


def _pause(error: JobError) -> tuple[bool, float]:
    """Whether the other items would wait too, and how long: what the pack waits for is the most."""
    if error.wait is None:
        return False, 0.0
    return error.wait.reason in HOLD_FOR_ALL, error.wait.seconds or 0.0
