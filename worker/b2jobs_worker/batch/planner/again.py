"""Running again what was not done: from the ledger into new packs.

A segment is rewritten without the lines that go into a pack again, in the step that queues
the pack, so each item stands in the ledger at most once and counters stay exact.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

from b2jobs.ledger import UNDONE, LedgerLine, lines_of, packed_line, segment
from b2jobs_worker.batch.ledger.outcome import planned_again
from b2jobs_worker.batch.ledger.packs import MOST_NEW_PACKS, Change, Entry, NewPack
from b2jobs_worker.batch.plan.packing import groups
from b2jobs_worker.batch.planner.desk import Desk
from b2jobs_worker.batch.planner.spilling import no_longer_withheld, spilled


def plan_again(desk: Desk, state: dict[str, str], has_room: Callable[[], bool]) -> bool:
    """Queue what is to be run again, as far as there is room; whether that was all of it."""
    asked = json.loads(state["again"])
    if "upto" not in asked:
        asked["upto"] = int(state.get("packs", 0))
        asked["at"] = -1
    number = int(state.get("packs", 0))
    for at, uri in spilled(state).items():
        if desk.archive is None or not asked.get("spilled_at", -1) < at < asked["upto"]:
            continue
        if not has_room():
            return False
        asked["spilled_at"] = at
        # What was withheld of its first pack goes along: both are replaced together.
        together = desk.archive.read(uri) + (desk.store.segment(desk.batch, at) or b"")
        change, is_all = _step(together, asked, at, number)
        if change.packs:
            # What is kept of the file goes back into Redis, under its first pack's number.
            change.fields |= {f"spill:{at}": "", **no_longer_withheld(state, at)}
            if is_all:  # else the rest of it is found there
                asked["back"] = [*asked.get("back", []), at]
            change.fields["again"] = json.dumps(asked)
        number += len(change.packs)
        desk.write(change)
    for at in desk.store.segment_numbers(desk.batch):
        if not asked["at"] < at < asked["upto"] or at in asked.get("back", []):
            continue
        is_all = False
        while not is_all:
            if not has_room():
                return False
            packed = desk.store.segment(desk.batch, at)
            change, is_all = _step(packed or b"", asked, at, number)
            if is_all:
                asked["at"] = at
                change.fields["again"] = json.dumps(asked)
            number += len(change.packs)
            desk.write(change)
    desk.write(
        Change(
            fields={
                "again": "",
                "only_failed": "1" if asked.get("only_failed") else "",
            }
        )
    )
    return True


def _step(packed: bytes, asked: dict[str, Any], at: int, number: int) -> tuple[Change, bool]:
    """New packs from a segment, as many as one change may have; whether that was all of it."""
    lines = list(lines_of(packed))
    codes = asked.get("codes") or []
    taken: dict[int, tuple[LedgerLine, Entry]] = {}  # by the identity of what is planned
    for line in lines:
        item = planned_again(line) if line.status in UNDONE else None
        if item is not None and (not codes or line.code in codes):
            taken[id(item)] = line, Entry(line.item, max(1, line.attempts or 0), item)
    change = Change(fields={"again": json.dumps(asked)})
    counts: Counter[str] = Counter()
    gone: set[int] = set()
    packs = (
        pack
        for group in groups((("", entry.planned) for _, entry in taken.values()), 1_000_000)
        for pack in group.packs
    )
    for pack in islice(packs, MOST_NEW_PACKS):
        # Large items stand behind the small ones of their group: match by the item.
        found = [taken[id(planned)] for planned in pack]
        change.packs.append(NewPack(number + len(change.packs), [entry for _, entry in found]))
        for line, _ in found:
            gone.add(id(line))
            counts[f"n:{line.status}"] -= 1
            counts[f"code:{line.code}"] -= 1
    if gone:
        kept = [packed_line(line) for line in lines if id(line) not in gone]
        change.segments[at] = segment(kept) if kept else b""
        change.counts = {**counts, "packs": len(change.packs)}
    return change, len(gone) == len(taken)
