"""Whether the destination's file differs from the source's."""

from __future__ import annotations

from typing import Literal

from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.rules import SAME_TIME_MILLIS, Compare

Difference = Literal["", "newer", "older", "size", "sha1"]


def difference(source: Entry, destination: Entry, compare: Compare) -> Difference:
    """How *source* differs from *destination*; empty when they count as the same.

    `newer` and `older` tell the source's time against the destination's. By SHA-1, files
    of which one digest is unknown are compared by size and time instead.
    """
    if compare == "modtime":
        return _by_time(source, destination)
    if compare == "none":
        return ""
    if source.size != destination.size:
        return "size"
    if compare == "size":
        return ""
    if source.sha1 is None or destination.sha1 is None:
        return "sha1" if _by_time(source, destination) else ""
    return "" if source.sha1 == destination.sha1 else "sha1"


def _by_time(source: Entry, destination: Entry) -> Difference:
    ahead = source.modified_millis - destination.modified_millis
    if -SAME_TIME_MILLIS <= ahead <= SAME_TIME_MILLIS:
        return ""
    return "newer" if ahead > 0 else "older"
