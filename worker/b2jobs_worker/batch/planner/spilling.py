"""Taking finished segments out of Redis, where the batch names a place for its ledger.

Each file has the segments of 64 packs, one behind the other. The batch's hash remembers it as
`spill:FIRST`, written in the step that drops the segments: a planner that dies in between
writes the same file again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from b2jobs_worker.batch.books import Step
from b2jobs_worker.batch.planner.archive import Archive

if TYPE_CHECKING:
    from b2jobs_worker.batch.planner.step import Visit

PACKS_A_FILE = 64


def spill(visit: Visit, archive: Archive | None, *, all_of_it: bool) -> None:
    """Move segments into files, 64 at a time; with *all_of_it* what is left, too.

    Raises:
        JobError: the place did not take a file; its segments stay in Redis.
    """
    if archive is None:
        return
    batch = visit.attempt.job_id
    numbers = visit.books.segment_numbers(batch)
    while len(numbers) >= PACKS_A_FILE or (all_of_it and numbers):
        visit.attempt.checkpoint()
        chosen, numbers = numbers[:PACKS_A_FILE], numbers[PACKS_A_FILE:]
        content = b"".join(visit.books.segment(batch, number) or b"" for number in chosen)
        uri = archive.write(batch, chosen[0], content)
        entry = json.dumps({"uri": uri, "bytes": len(content)})
        visit.write(
            Step(
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
