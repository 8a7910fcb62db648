"""Running again what was not done: from the ledger into new packs.

A segment is rewritten without the lines that go into a pack again, in the step that queues
the pack, so each item stands in the ledger at most once and counters stay exact.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from b2jobs.ledger import UNDONE, LedgerLine, lines_of, packed_line, segment
from b2jobs_worker.batch.ledger.outcome import planned_again
from b2jobs_worker.batch.ledger.store import Change, Entry, NewPack
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
        change = _step(together, asked, at, number)
        if change.packs:
            # What is kept of the file goes back into Redis, under its first pack's number.
            change.fields |= {f"spill:{at}": "", **no_longer_withheld(state, at)}
            asked["back"] = [*asked.get("back", []), at]
            change.fields["again"] = json.dumps(asked)
        number += len(change.packs)
        desk.write(change)
    for at in desk.store.segment_numbers(desk.batch):
        if not asked["at"] < at < asked["upto"] or at in asked.get("back", []):
            continue
        if not has_room():
            return False
        packed = desk.store.segment(desk.batch, at)
        asked["at"] = at
        change = _step(packed or b"", asked, at, number)
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


def _step(packed: bytes, asked: dict[str, Any], at: int, number: int) -> Change:
    kept: list[LedgerLine] = []
    taken: list[Entry] = []
    counts: Counter[str] = Counter()
    codes = asked.get("codes") or []
    for line in lines_of(packed):
        item = planned_again(line) if line.status in UNDONE else None
        if item is None or (codes and line.code not in codes):
            kept.append(line)
            continue
        taken.append(Entry(line.item, max(1, line.attempts or 0), item))
        counts[f"n:{line.status}"] -= 1
        counts[f"code:{line.code}"] -= 1
    change = Change(fields={"again": json.dumps(asked)}, counts=dict(counts))
    if taken:
        change.segments[at] = segment(packed_line(line) for line in kept) if kept else b""
        stream = (("", entry.planned) for entry in taken)
        for group in groups(stream, 1_000_000):
            for pack in group.packs:
                # Large items stand behind the small ones of their group: match by the item.
                change.packs.append(NewPack(number + len(change.packs), _entries(pack, taken)))
        change.counts["packs"] = len(change.packs)
    return change


def _entries(pack: list[Any], taken: list[Entry]) -> list[Entry]:
    wanted = {id(planned) for planned in pack}
    return [entry for entry in taken if id(entry.planned) in wanted]
