"""A plan being read: its groups of packs, from a cursor on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator

from b2jobs.errors import JobError
from b2jobs.items import Planned
from b2jobs_worker.batch.plan.packing import Group, groups
from b2jobs_worker.batch.plan.source import NotYet, PlanSource

_MOST_KEPT = 4


class PlanStream:
    """The groups of *source* behind *cursor*. When it ends, `stopped` says why if not for good.

    Whatever stops it, what was read before is in a group.
    """

    def __init__(self, source: PlanSource, cursor: str, planned_before: int) -> None:
        self.stopped: NotYet | JobError | None = None
        self._items = iter(source.items(cursor))
        self._groups = groups(self._until_now(), planned_before)

    def __iter__(self) -> Iterator[Group]:
        return self._groups

    def _until_now(self) -> Iterator[tuple[str, Planned]]:
        try:
            yield from self._items
        except (NotYet, JobError) as stopped:
            self.stopped = stopped


class KeptStreams:
    """Plans that are open in this process, so that the next step need not find its place.

    Only a shortcut: a stream is used again where its cursor is the persisted one.
    """

    def __init__(self) -> None:
        self._streams: OrderedDict[tuple[str, str], PlanStream] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, batch: str, cursor: str, stream: PlanStream) -> None:
        with self._lock:
            self._streams[(batch, cursor)] = stream
            while len(self._streams) > _MOST_KEPT:
                self._streams.popitem(last=False)

    def take(self, batch: str, cursor: str) -> PlanStream | None:
        with self._lock:
            return self._streams.pop((batch, cursor), None)
