"""What happens to one name: a pure decision from both sides' entries.

Follows `b2 sync` (b2sdk's sync policies); docs/sync.md lists where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from b2jobs_worker.sync.compare import difference
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.rules import Rules

DAY_MILLIS = 24 * 3600 * 1000

Reason = Literal["new", "newer", "older", "size", "sha1"]


class Transfer(NamedTuple):
    """Make the destination's file like the source's.

    replaces: the identity of the local file that was compared; empty where there was none.
    """

    source: Entry
    reason: Reason
    replaces: str = ""


class Remove(NamedTuple):
    """Delete a version in B2, or a local file (without an id).

    follows: the name's transfer, which must have succeeded first.
    uncovers: a hide marker over versions that go too, which would be visible without it if
        one of them stayed. So it goes last, and only when they have gone.
    identity: of the local file that was compared; another one is left alone.
    """

    name: str
    file_id: str
    reason: Literal["gone", "old", "hide marker"]
    follows: bool
    identity: str = ""
    uncovers: bool = False


class Hide(NamedTuple):
    """Put a hide marker over a file in B2."""

    name: str
    file_id: str = ""


class Problem(NamedTuple):
    """A name that is left alone, and why."""

    name: str
    code: str
    message: str


Action = Transfer | Remove | Hide | Problem


def decide(source: Entry | None, destination: Entry | None, rules: Rules) -> Iterator[Action]:
    """What to do with one name that at least one side has; nothing when it is in step."""
    reason: Reason | Literal[""] = ""
    if source is not None:
        if destination is None or not destination.is_visible:
            reason = "new"
        else:
            reason = difference(source, destination, rules)
            if reason == "older" and rules.newer != "replace":
                if rules.newer == "fail":
                    yield Problem(
                        source.name,
                        "destination_newer",
                        "The destination's file is newer than the source's.",
                    )
                    return
                reason = ""
        if reason:
            yield Transfer(source, reason, destination.identity if destination else "")
    if destination is None:
        return
    match rules.deletion:
        case "hide" if source is None and destination.is_visible:
            yield Hide(destination.name, destination.file_id)
        case "remove":
            yield from _removed(source, destination, bool(reason), rules)
        case "keep_days" if rules.direction != "down":
            yield from _aged(source, destination, rules)


def _removed(
    source: Entry | None, destination: Entry, transferred: bool, rules: Rules
) -> Iterator[Action]:
    if rules.direction == "down":
        if source is None:
            yield Remove(destination.name, "", "gone", False, destination.identity)
        return
    for index, version in reversed(list(enumerate(destination.versions))):
        if index == 0 and source is not None and not transferred:
            continue
        is_old = transferred or index > 0
        yield Remove(
            destination.name,
            version.file_id,
            "hide marker" if version.is_hide else "old" if is_old else "gone",
            follows=transferred,
            uncovers=_uncovers(destination, index) and not transferred,
        )


def _aged(source: Entry | None, destination: Entry, rules: Rules) -> Iterator[Action]:
    """Keep all that was visible at some time in the last `keep_days` days.

    A version was visible until its successor was uploaded, whatever time of modification
    they say; a hide marker shows nothing, so its own upload counts. What goes is always the
    oldest end of the history: nothing that was hidden comes to light.
    """
    if source is None and destination.is_visible:
        yield Hide(destination.name, destination.file_id)
    versions = destination.versions
    ended = 0
    for index in reversed(range(len(versions))):
        version = versions[index]
        ended = max(ended, version.uploaded_millis)
        if index == 0 and not version.is_hide:
            return
        if not version.is_hide:
            ended = max(ended, versions[index - 1].uploaded_millis)
        if (rules.now_millis - ended) / DAY_MILLIS <= rules.keep_days:
            return
        reason: Literal["hide marker", "old"] = "hide marker" if version.is_hide else "old"
        uncovers = _uncovers(destination, index)
        yield Remove(destination.name, version.file_id, reason, follows=False, uncovers=uncovers)


def _uncovers(destination: Entry, index: int) -> bool:
    return index == 0 and destination.versions[0].is_hide and len(destination.versions) > 1
