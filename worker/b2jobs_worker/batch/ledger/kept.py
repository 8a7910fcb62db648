"""What lines that failed carry themselves (`data:`), where a setting keeps it for a retry.

It lies with the bytes that producers handed over, counts as they do, and is the batch's: it goes
when the line is done, or so many seconds after the batch has ended (`keep_staged_seconds`).
"""

from __future__ import annotations

import logging
from dataclasses import replace

from b2jobs.errors import InvalidJob
from b2jobs.for_people import has_content
from b2jobs.items import Item, Planned
from b2jobs.locations import InlineData, InvalidLocation, StagedBytes, parse
from b2jobs.redis.pieces import StagingFull
from b2jobs.staging import Limits, Origin, Staging
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.outcome import Outcome
from b2jobs_worker.batch.ledger.store import Store

logger = logging.getLogger(__name__)


def keep_content(
    store: Store, attempt: Attempt, batch: str, planned: Planned, outcome: Outcome
) -> Planned:
    """*planned* as the ledger may have it: one that failed names the content that is kept.

    Where nothing is to be kept, or there is no room, it is as it was, and the ledger forgets the
    content. Raises `Interrupted` where the attempt must end while Redis is away.
    """
    item = planned if isinstance(planned, Item) else planned.item
    if not store.keeps_content or item is None or outcome.status != "failed":
        return planned
    source = parse(item.source) if has_content(item.source) else None
    if not isinstance(source, InlineData):
        return planned
    content, content_type = source.content, source.content_type

    def stage() -> StagedBytes | None:
        pieces = store.records.pieces
        staging = Staging(pieces, Origin(content_type=content_type), Limits.of_environment())
        try:
            staging.add(content)
        except (StagingFull, InvalidJob) as error:
            logger.warning("%s: the content of a failed line is not kept: %s", batch, error)
            return None
        location = staging.location()
        pieces.keep(location.id, batch)
        return location

    kept = store.patiently(attempt, stage)
    if kept is None:
        return planned
    item = replace(item, source=str(kept))
    return item if isinstance(planned, Item) else replace(planned, source=item.source, item=item)


def drop_content(store: Store, batch: str, planned: Planned) -> None:
    """Let go of what was kept for a line that is done now."""
    if isinstance(planned, Item) and planned.source.startswith("staged://"):
        try:
            location = parse(planned.source)
        except InvalidLocation:
            return
        if isinstance(location, StagedBytes):
            store.records.pieces.drop(location.id, owner=batch)
