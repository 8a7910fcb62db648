"""What outdated owners of a pack made: kept where it counts, else removed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from b2jobs.errors import InvalidJob, JobError, QueueUnavailable
from b2jobs.items import Item
from b2jobs.ledger import lines_of
from b2jobs_worker.batch.ledger.outcome import Outcome
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.pack.mover import Mover
from b2jobs_worker.batch.pack.request import request_of

if TYPE_CHECKING:
    from b2jobs_worker.batch.pack.run import PackRun

logger = logging.getLogger(__name__)


def undo_unowned(
    run: PackRun,
    store: Store,
    movers: Mapping[str, Mover],
    batch: str,
    number: int,
    made: Mapping[int, str],
) -> None:
    """Remove what this outdated attempt made, unless the present owner counts on it.

    Where the owner has not come to an item yet, it is told, and will see to it at the end.
    In doubt nothing is removed.
    """
    if not made:
        return
    try:
        answers = store.disown(run.attempt.job_id, made)
        sealed = store.segment(batch, number) if "sealed" in answers.values() else None
    except QueueUnavailable as error:
        logger.warning("%s: strays not told: %s", run.attempt.job_id, error)
        return
    kept = {line.item: line.file_id for line in lines_of(sealed or b"")}
    for position, answer in answers.items():
        if answer == "left":
            continue
        counts = kept.get(position) if answer == "sealed" else Outcome(*json.loads(answer)).file_id
        if counts and counts != made[position]:
            _undo(run, movers, position, made[position])


def undo_strays(
    run: PackRun, movers: Mapping[str, Mover], outcomes: Mapping[int, Outcome], strays: list[str]
) -> None:
    """Remove what outdated owners have told of, unless it is what the pack counts on."""
    for stray in strays:
        position, _, made = stray.partition(" ")
        if outcomes[int(position)].file_id != made:
            _undo(run, movers, int(position), made)


def _undo(run: PackRun, movers: Mapping[str, Mover], position: int, made: str) -> None:
    item = next(e.planned for e in run.opened.entries if e.position == position)
    if not isinstance(item, Item):
        return
    try:
        movers[item.action].undo(request_of(item, run.opened.orders), made)
    except (JobError, InvalidJob) as error:
        logger.warning("%s: stray %s not removed: %s", run.attempt.job_id, made, error)
