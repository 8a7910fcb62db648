"""The plan of a sync as a batch carries it out: first what is moved, then what is removed.

A plan of up to 20,000 actions is made whole before its first item runs and kept in Redis. A
longer one is compared again as it is carried out, from the last name that was planned.
Nothing is hidden or removed before all transfers have come to their end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from b2jobs.errors import CallerError
from b2jobs.items import Planned, Refusal
from b2jobs.ledger import DONE, lines_of
from b2jobs.requests import Sync
from b2jobs.signed import SealRefused
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.meter import Meter, Meters
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.plan.source import Forecast, NotYet
from b2jobs_worker.sync import spool
from b2jobs_worker.sync.decide import Action, Hide, Problem, Remove, Transfer
from b2jobs_worker.sync.items import line, planned
from b2jobs_worker.sync.plan import Tally, plan
from b2jobs_worker.sync.sides import Sides

LINES_SHOWN = 1000
SAMPLES = 10
SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Outline:
    """What is known of the plan between two steps.

    moves, removals, following, markers: how many of each are in the spool, in this order.
    `following` are old versions of files that are transferred: they go only if no transfer
    failed. `markers` are hide markers over what is removed: they go only if nothing failed.
    refused: how many of the moves are refusals. is_spooled: else it is compared again.
    """

    moves: int = 0
    removals: int = 0
    following: int = 0
    markers: int = 0
    refused: int = 0
    is_spooled: bool = True


class SyncPlan:
    """Implements `PlanSource`. A cursor is a number in the spool, or `t:NAME` and `r:NAME`."""

    def __init__(
        self,
        request: Sync,
        attempt: Attempt,
        store: Store,
        meter: Meter | Meters,
        find_sides: Callable[[], Sides],
    ) -> None:
        self._request = request
        self._attempt = attempt
        self._store = store
        self._meter = meter
        self._find_sides = find_sides
        self._spool = spool.Spool(store, attempt)
        self._dry: list[Planned] | None = None
        self.tally = Tally()
        self.lines: list[str] = []

    def forecast(self) -> Forecast:
        """Compare both sides, and stop the sync where it would remove too much.

        Raises:
            CallerError: `too_much_to_delete`, `source_empty`.
            JobError: a side cannot be listed.
        """
        removes = self._request.delete != "keep" or self._request.keep_days is not None
        must_see_all = removes and self._request.max_delete < 1
        with self._metered():
            kept, whole = self._compared(must_see_all=must_see_all)
        self._check(removes)
        if self._request.dry_run:
            self._dry = None if whole is None else [item for part in kept for item in part]
            return Forecast(
                listing_calls=self._meter.calls["c"],
                compared=self._compared_counts(),
                lines=self.lines,
            )
        moves, removals, following, markers = kept
        refusals = [item for item in moves if isinstance(item, Refusal)]
        outline = Outline(
            len(moves),
            len(removals),
            len(following),
            len(markers),
            len(refusals),
            is_spooled=whole is not None,
        )
        if outline.is_spooled:
            self._spool.write([*moves, *removals, *following, *markers])
        self._store.note(
            self._attempt,
            sync=json.dumps(asdict(outline)),
            compared=json.dumps(self._compared_counts()),
        )
        return Forecast(
            items=whole,
            size_bytes=None if whole is None else self.tally.transfer_bytes,
            refused=len(refusals),
            samples=tuple(f"{each.source}: {each.message}" for each in refusals[:SAMPLES]),
        )

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        if self._request.dry_run:
            return (("", item) for item in self._dry or self._all_again())
        outline = Outline(**json.loads(self._store.state(self._attempt)["sync"]))
        if outline.is_spooled:
            return self._from_spool(outline, int(cursor or 0))
        return self._streamed(cursor)

    # -- the first comparison --------------------------------------------------------------

    def _compared(self, *, must_see_all: bool) -> tuple[tuple[list[Planned], ...], int | None]:
        """The parts of an `Outline`; how many in all, or None: too many to keep."""
        moves: list[Planned] = []
        removals: list[Planned] = []
        following: list[Planned] = []
        markers: list[Planned] = []
        count = 0
        sides = self._find_sides()
        for action in self._actions(sides, ""):
            count += 1
            if len(self.lines) < LINES_SHOWN:
                self.lines.append(line(action))
            if count > spool.MOST_ITEMS:
                if not must_see_all and not self._request.dry_run:
                    return ([], [], [], []), None
                if count == spool.MOST_ITEMS + 1:
                    moves, removals, following, markers = [], [], [], []
                continue
            if not isinstance(action, Remove | Hide):
                moves.append(planned(action, sides))
            elif isinstance(action, Remove) and action.follows:
                following.append(planned(action, sides))
            elif isinstance(action, Remove) and action.uncovers:
                markers.append(planned(action, sides))
            else:
                removals.append(planned(action, sides))
        kept = (moves, removals, following, markers)
        return kept, count if count <= spool.MOST_ITEMS else None

    def _check(self, removes: bool) -> None:
        seen = self.tally.sources or self.tally.passed_over
        is_empty = not seen and not self._request.allow_empty_source
        is_local = not self._request.source.startswith("b2://")
        if is_empty and (is_local or (removes and self.tally.destinations)):
            unread = (
                f" but {problems} that cannot be read" if (problems := self.tally.problems) else ""
            )
            raise CallerError(
                "source_empty",
                f"There is no file below {self._request.source}{unread}.",
                hint="If that is right, sync with allow_empty_source.",
            )
        if removes and self.tally.gone_share > self._request.max_delete:
            raise CallerError(
                "too_much_to_delete",
                f"{self.tally.gone} of the {self.tally.destinations} files below "
                f"{self._request.destination} are not in the source; that is more than "
                f"max_delete ({self._request.max_delete:g}) allows. Nothing was removed.",
                hint="Look whether the source is whole; if it is right, raise max_delete.",
            )

    def _actions(self, sides: Sides, after: str) -> Iterator[Action]:
        self.tally = Tally()
        matched = sides.matched(self.tally, after)
        for number, action in enumerate(
            plan(matched, sides.rules, sides.make_refuse(), self.tally)
        ):
            if number % 64 == 0:
                self._attempt.checkpoint()
            if isinstance(action, Problem) and action.name <= after:
                continue  # listed again for what it may hide; it is reported already
            yield action
        for loose in sides.loose:
            self.tally.problems += 1
            yield Problem(loose.name, loose.code, loose.message)
        sides.loose.clear()

    def _compared_counts(self) -> dict[str, int]:
        counts = asdict(self.tally)
        return {name: count for name, count in counts.items() if name != "transfer_bytes"}

    # -- carrying it out -------------------------------------------------------------------

    def _from_spool(self, outline: Outline, start: int) -> Iterator[tuple[str, Planned]]:
        given = False
        for behind, item in self._left_in_spool(outline, start):
            given = True
            yield behind, item
        if given:
            # A worker that dies before the last of them is in a pack still needs them.
            raise NotYet(SETTLE_SECONDS)
        self._spool.clear()

    def _left_in_spool(self, outline: Outline, start: int) -> Iterator[tuple[str, Planned]]:
        for at, item in self._spool.read(start, outline.moves):
            yield str(at + 1), item
        free_end = outline.moves + outline.removals
        end = free_end + outline.following
        if outline.moves < end:
            if start < outline.moves:
                raise NotYet(SETTLE_SECONDS)  # these are not even queued yet
            failed = self._failed_when_settled(outline)
            if failed > outline.refused:
                # Whose old versions may go is not known any more; the next sync sees.
                end = free_end
            for at, item in self._spool.read(start, end):
                yield str(at + 1), item
            if outline.markers and failed <= outline.refused:
                if start < end:
                    raise NotYet(SETTLE_SECONDS)
                for at, item in self._spool.read(start, end + outline.markers):
                    yield str(at + 1), item

    def _all_again(self) -> Iterator[Planned]:
        sides = self._find_sides()
        for action in self._actions(sides, ""):
            yield planned(action, sides)

    def _streamed(self, cursor: str) -> Iterator[tuple[str, Planned]]:
        stage, _, after = cursor.partition(":")
        with self._metered():
            sides = self._find_sides()
            if stage != "r":
                moved = False
                for action in self._actions(sides, after):
                    if not isinstance(action, Remove | Hide):
                        moved = True
                        # A name that is no text is no place to go on from.
                        after = action.source.name if isinstance(action, Transfer) else after
                        yield f"t:{after}", planned(action, sides)
                if sides.rules.deletion == "keep":
                    return
                if moved:
                    raise NotYet(SETTLE_SECONDS)
                after = ""
            self._failed_when_settled()
            # What is missing now was there when the transfers were planned, if a disk is away.
            if stage != "r":
                for _ in self._actions(sides, ""):
                    pass
                self._check(removes=True)
            # A name may lose several versions: only behind the last of them is a cursor.
            held: Remove | Hide | None = None
            moving = ""
            for action in self._actions(sides, after):
                if isinstance(action, Transfer):
                    moving = action.source.name  # its transfer has failed: it stays as it is
                elif isinstance(action, Remove) and action.uncovers:
                    continue  # the next sync finds it alone
                elif isinstance(action, Remove | Hide) and action.name != moving:
                    if held is not None:
                        after = held.name if held.name != action.name else after
                        yield f"r:{after}", planned(held, sides)
                    held = action
            if held is not None:
                yield f"r:{held.name}", planned(held, sides)

    def _failed_when_settled(self, outline: Outline | None = None) -> int:
        """How many items have failed, once all that was queued has ended.

        What is removed hangs on it. So where signatures are required, the sealed ledger says how
        many moves of *outline* are done, and not a counter that anybody can write.

        Raises:
            NotYet
        """
        if self._store.packs(self._attempt):
            raise NotYet(SETTLE_SECONDS)
        if outline is None or not self._store.records.ring.required:
            return int(self._store.state(self._attempt).get("n:failed", 0))
        job = self._attempt.job_id
        packed = (self._store.segment(job, number) for number in self._store.segment_numbers(job))
        try:
            done = {
                line.item
                for segment in packed
                for line in lines_of(segment or b"")
                if line.status in DONE and line.item < outline.moves
            }
        except SealRefused as error:
            raise CallerError(error.code, str(error), hint=error.hint) from error
        return outline.moves - len(done)

    @contextmanager
    def _metered(self) -> Iterator[None]:
        """Add what the listings cost to what the batch has used."""
        before, dollars = self._meter.calls, self._meter.dollars
        try:
            yield
        finally:
            self._note_calls(before, dollars)

    def _note_calls(self, before: dict[str, int], dollars: float) -> None:
        if self._request.dry_run:
            return
        used = {name: count - before[name] for name, count in self._meter.calls.items()}
        self._store.add_cost(self._attempt, used, self._meter.dollars - dollars)
