"""Taking finished segments out of Redis, where the batch names a place for its ledger.

Each file has the segments of 64 packs, one behind the other. The batch's hash remembers it as
`spill:FIRST`, written in the step that drops the segments: a planner that dies in between
writes the same file again.
"""

from __future__ import annotations

import json

from b2jobs_worker.batch.ledger.store import Change
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
    numbers = desk.store.segment_numbers(desk.batch)
    while len(numbers) >= PACKS_A_FILE or (all_of_it and numbers):
        desk.attempt.checkpoint()
        chosen, numbers = numbers[:PACKS_A_FILE], numbers[PACKS_A_FILE:]
        content = b"".join(desk.store.segment(desk.batch, number) or b"" for number in chosen)
        uri = archive.write(desk.batch, chosen[0], content)
        entry = json.dumps({"uri": uri, "bytes": len(content)})
        desk.write(
            Change(
                fields={f"spill:{chosen[0]}": entry},
                segments=dict.fromkeys(chosen, b""),
            )
        )


def spilled(state: dict[str, str]) -> dict[int, str]:
    """The files of a ledger by their first pack, in order."""
    found = {
        int(name.removeprefix("spill:")): json.loads(entry)["uri"]
        for name, entry in state.items()
        if name.startswith("spill:") and entry
    }
    return dict(sorted(found.items()))
