"""Whether the destination's file differs from the source's."""

from __future__ import annotations

from typing import Literal

from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.rules import Rules

FIRST_KEPT_MILLIS = -(2**31) * 1000
LAST_KEPT_MILLIS = (2**34 - 2**31 - 1) * 1000
"""1901-12-13 to 2446-05-10. File systems turn other times into the nearest of these."""

Difference = Literal["", "newer", "older", "size", "sha1"]


def difference(source: Entry, destination: Entry, rules: Rules) -> Difference:
    """How *source* differs from *destination*; empty when they count as the same.

    `newer` and `older` tell the source's time against the destination's. By SHA-1, files
    of which one digest is unknown are compared by size and time instead.
    """
    compare = rules.compare
    if compare == "modtime":
        return _by_time(source, destination, rules.same_millis)
    if compare == "none":
        return ""
    if source.size != destination.size:
        return "size"
    if compare == "size":
        return ""
    if source.sha1 is None or destination.sha1 is None:
        return "sha1" if _by_time(source, destination, rules.same_millis) else ""
    return "" if source.sha1 == destination.sha1 else "sha1"


def _kept(millis: int) -> int:
    """What ext4 and xfs keep of a time; one beyond would differ at every sync."""
    return min(max(millis, FIRST_KEPT_MILLIS), LAST_KEPT_MILLIS)


def _by_time(source: Entry, destination: Entry, same_millis: int) -> Difference:
    ahead = _kept(source.modified_millis) - _kept(destination.modified_millis)
    if -same_millis <= ahead <= same_millis:
        return ""
    return "newer" if ahead > 0 else "older"
