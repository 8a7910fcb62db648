"""Packs that ended without being sealed: their items get an outcome or another pack.

A pack fails as a whole only when its worker died under it three times (`worker_lost`) or by a
bug. Then the items that had no outcome yet go into small packs, of one item where there are at
most 128, so that the one that kills workers is found and the others are done; a pack of one item
that fails so is an item that fails so.
"""

from __future__ import annotations

import logging
import math
from collections import Counter

from b2jobs.errors import CallerError, Failure, OperatorError
from b2jobs.ledger import segment
from b2jobs.signed import SealRefused
from b2jobs_worker.batch.ledger.kept import keep_content
from b2jobs_worker.batch.ledger.outcome import ledger_line, of_failure
from b2jobs_worker.batch.ledger.packs import MOST_NEW_PACKS, Change, Entry, NewPack
from b2jobs_worker.batch.planner.desk import Desk

logger = logging.getLogger(__name__)
_LOST = Failure(
    code="pack_gone",
    message="The record of its pack was gone.",
    hint="Run it again: b2jobs batch retry ID --failed.",
    act="us",
)


def mend(desk: Desk, state: dict[str, str]) -> None:
    """See to every pack under way whose job has ended; adds to `packs` in *state*."""
    for pack, (standing, failure) in desk.packs().items():
        if standing in ("failed", "cancelled", "gone"):
            _mend(desk, state, pack, failure or _LOST)


def _mend(desk: Desk, state: dict[str, str], pack: str, failure: Failure) -> None:
    change = Change(closed=[pack])
    try:
        opened = desk.store.open_pack(desk.attempt, pack)
    except (SealRefused, OperatorError) as error:
        logger.error("pack %s: %s %s", pack, error, error.hint)
        opened = None
        refused = CallerError(error.code, f"{pack}: {error}", hint=error.hint)
        change.fields["broken"] = refused.failure(1).model_dump_json()
    if opened is not None:
        first = int(state.get("packs", 0))
        rest = [entry for entry in opened.entries if entry.position not in opened.outcomes]
        outcomes = dict(opened.outcomes)
        split = len(rest) > 1 and failure.code in ("worker_lost", "internal_error")
        if split:
            again = [Entry(each.position, each.earlier + 1, each.planned) for each in rest]
            size = math.ceil(len(again) / MOST_NEW_PACKS)
            change.packs = [
                NewPack(first + at, again[at * size : (at + 1) * size])
                for at in range(math.ceil(len(again) / size))
            ]
            change.counts["packs"] = len(change.packs)
            state["packs"] = str(first + len(change.packs))
        else:
            counts: Counter[str] = Counter()
            for entry in rest:
                failed = of_failure(entry.planned, failure)
                outcomes[entry.position] = failed
                counts[f"n:{failed.status}"] += 1
                counts[f"code:{failed.code}"] += 1
            change.counts.update(counts)
        lines = []
        for entry in opened.entries:
            outcome = outcomes.get(entry.position)
            if outcome is not None:
                said = keep_content(desk.store, desk.attempt, desk.batch, entry.planned, outcome)
                lines.append(ledger_line(entry.position, said, outcome))
        if lines:
            number = int(pack.rpartition(".p")[2])
            change.segments[number] = segment(lines)
        logger.warning("pack %s: %s; %d items see to", pack, failure.code, len(rest))
    desk.write(change)
