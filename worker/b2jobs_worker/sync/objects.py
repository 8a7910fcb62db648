"""What one side of a sync, another store, says of an object beyond its listing.

S3's listings tell neither the time nor the SHA-1 that a writer gave an object, so an object is
asked (one HEAD) where the comparison needs that. Azure's listings tell both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from b2jobs.locations import StoreObject
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import stores
from b2jobs_worker.sources.roots import StorePlace
from b2jobs_worker.sync.compare import difference
from b2jobs_worker.sync.digests import asked_ahead
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.plan import Pair
from b2jobs_worker.sync.rules import Rules

THREADS = 32
AHEAD = 256


def with_objects(
    matched: Iterator[Pair], side: StorePlace, settings: Settings, rules: Rules, *, is_source: bool
) -> Iterator[Pair]:
    """*matched*, with what the objects of *side* say where it could change the comparison."""

    def ask(pair: Pair) -> Callable[[], Pair] | None:
        source, destination = pair
        if source is None or destination is None or source.trouble or destination.trouble:
            return None
        ours = source if is_source else destination
        if ours.has_modified or not _may_change(source, destination, rules):
            return None

        def act() -> Pair:
            told = _told(ours, side, settings)
            return (told, destination) if is_source else (source, told)

        return act

    return asked_ahead(matched, ask, threads=THREADS, ahead=AHEAD)


def _may_change(source: Entry, destination: Entry, rules: Rules) -> bool:
    if rules.compare == "modtime":
        return bool(difference(source, destination, rules))
    return rules.compare == "sha1" and source.size == destination.size


def _told(entry: Entry, side: StorePlace, settings: Settings) -> Entry:
    target = side.target
    key = f"{target.key}{entry.name}"
    where = replace(side, target=StoreObject(target.scheme, target.bucket, key))
    there = stores.look(where, settings)
    if there is None:
        return entry  # it has gone meanwhile: what is done with it finds out
    if there.modified_millis is not None:
        entry = entry._replace(modified_millis=there.modified_millis, has_modified=True)
    return entry._replace(sha1=there.sha1 or entry.sha1)
