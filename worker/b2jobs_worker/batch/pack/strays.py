"""What outdated owners of a pack made: kept where it counts, else removed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from b2jobs.errors import InvalidJob, JobError, QueueUnavailable
from b2jobs.items import Item
from b2jobs.ledger import lines_of
from b2jobs.signed import SealRefused, believed
from b2jobs.signing import Ring
from b2jobs_worker.batch.ledger.outcome import Outcome
from b2jobs_worker.batch.ledger.packs import OpenPack, pack_name
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.pack.request import request_of
from b2jobs_worker.work import Work

logger = logging.getLogger(__name__)


class Strays:
    """The versions of one pack that its owner does not know of. In doubt nothing is removed."""

    def __init__(
        self, pack: str, opened: OpenPack, movers: Mapping[str, Work[Any]], ring: Ring
    ) -> None:
        self._pack = pack
        self._ring = ring
        self._opened = opened
        self._movers = movers

    def leave(self, store: Store, batch: str, number: int, made: Mapping[int, str]) -> None:
        """Remove what this outdated attempt made, unless the present owner counts on it.

        Where the owner has not come to an item yet, it is told, and will see to it at the end.
        """
        if not made:
            return
        try:
            answers = store.disown(pack_name(batch, number), made)
            sealed = store.segment(batch, number) if "sealed" in answers.values() else None
        except (QueueUnavailable, SealRefused) as error:
            logger.warning("%s: strays not told: %s", pack_name(batch, number), error)
            return
        kept = {line.item: line.file_id for line in lines_of(sealed or b"")}
        for position, answer in answers.items():
            match answer:
                case "left":
                    continue
                case "sealed":
                    counts = kept.get(position)
                case line:
                    counts = Outcome(*json.loads(line)).file_id
            if counts and counts != made[position]:
                self._undo(position, made[position])

    def remove(self, told: Iterable[str], outcomes: Mapping[int, Outcome]) -> None:
        """Remove what outdated owners have told of, unless it is what the pack counts on."""
        for stray in told:
            position, _, sealed = stray.partition(" ")
            made = self._believed(position, sealed)
            if made is not None and outcomes[int(position)].file_id != made:
                self._undo(int(position), made)

    def _believed(self, position: str, sealed: str) -> str | None:
        place = ("stray", self._pack, position)
        return believed(lambda: self._ring.unseal(sealed, *place), None)

    def _undo(self, position: int, made: str) -> None:
        item = next(each.planned for each in self._opened.entries if each.position == position)
        if not isinstance(item, Item):
            return
        try:
            self._movers[item.action].undo(request_of(item, self._opened.orders), made)
        except (JobError, InvalidJob) as error:
            logger.warning("stray %s of %s not removed: %s", made, item.destination, error)
