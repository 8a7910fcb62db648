"""Taking finished segments out of Redis, where the batch names a place for its ledger.

Each file has the segments of 64 packs, one behind the other. The batch's hash remembers it as
`spill:FIRST`, written in the step that drops the segments: a planner that dies in between
writes the same file again.

Lines that will be tried again with a URL that its query opens are withheld: they stay in Redis,
under their packs' numbers, which `withheld` in the batch's hash names.
"""

from __future__ import annotations

import json

from b2jobs.for_people import masked
from b2jobs.ledger import UNDONE, lines_of, packed_line, segment
from b2jobs_worker.batch.ledger.packs import Change
from b2jobs_worker.batch.planner.desk import Desk

PACKS_A_FILE = 64


def spill(desk: Desk, *, all_of_it: bool) -> None:
    """Move segments into files, 64 at a time; with *all_of_it* what is left, too.

    Raises:
        JobError: the place did not take a file; its segments stay in Redis.
    """
    archive = desk.archive
    if archive is None:
        return
    withheld = _withheld(desk.state())
    numbers = [each for each in desk.store.segment_numbers(desk.batch) if each not in withheld]
    while len(numbers) >= PACKS_A_FILE or (all_of_it and numbers):
        desk.attempt.checkpoint()
        chosen, numbers = numbers[:PACKS_A_FILE], numbers[PACKS_A_FILE:]
        pairs = {each: _split(desk.store.segment(desk.batch, each) or b"") for each in chosen}
        content = b"".join(told for told, _ in pairs.values())
        uri = archive.write(desk.batch, chosen[0], content)
        withheld |= {each for each, (_, kept) in pairs.items() if kept}
        fields = {f"spill:{chosen[0]}": json.dumps({"uri": uri, "bytes": len(content)})}
        if withheld:
            fields["withheld"] = json.dumps(sorted(withheld))
        desk.write(Change(fields=fields, segments={at: kept for at, (_, kept) in pairs.items()}))


def no_longer_withheld(state: dict[str, str], at: int) -> dict[str, str]:
    """The field to write when the segment *at* is whole again in Redis."""
    withheld = _withheld(state)
    return {"withheld": json.dumps(sorted(withheld - {at}))} if at in withheld else {}


def _withheld(state: dict[str, str]) -> set[int]:
    return set(json.loads(state.get("withheld") or "[]"))


def _split(packed: bytes) -> tuple[bytes, bytes]:
    """A segment without what is withheld, and that."""
    lines = list(lines_of(packed))
    kept = [each for each in lines if each.status in UNDONE and masked(each.source) != each.source]
    if not kept:
        return packed, b""
    told = [each for each in lines if each not in kept]
    return segment(map(packed_line, told)) if told else b"", segment(map(packed_line, kept))


def spilled(state: dict[str, str]) -> dict[int, str]:
    """The files of a ledger by their first pack, in order."""
    found = {
        int(name.removeprefix("spill:")): json.loads(entry)["uri"]
        for name, entry in state.items()
        if name.startswith("spill:") and entry
    }
    return dict(sorted(found.items()))
