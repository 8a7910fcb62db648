"""The plan of a sync: two sorted listings in, actions out, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from b2jobs.errors import InternalError
from b2jobs_worker.sources.limits import Limits
from b2jobs_worker.sources.names import Refused
from b2jobs_worker.sync.decide import Action, Hide, Problem, Remove, Transfer, decide
from b2jobs_worker.sync.entries import Entry, Trouble
from b2jobs_worker.sync.rules import Rules

Pair = tuple[Entry | None, Entry | None]


@dataclass
class Tally:
    """What has been compared and planned so far.

    passed_over: names that take no part by their age or size.
    """

    sources: int = 0
    destinations: int = 0
    unchanged: int = 0
    transfers: int = 0
    transfer_bytes: int = 0
    gone: int = 0
    old_versions: int = 0
    problems: int = 0
    passed_over: int = 0

    @property
    def gone_share(self) -> float:
        """The share of the destination's files that are to be hidden or removed."""
        return self.gone / self.destinations if self.destinations else 0.0


def pairs(sources: Iterator[Entry], destinations: Iterator[Entry]) -> Iterator[Pair]:
    """Match two listings by name; each name once, in ascending order.

    Raises:
        InternalError: `listing_unsorted`. What follows could be taken for missing and be
            removed, so the sync ends.
    """
    source, destination = next(sources, None), next(destinations, None)
    while source is not None and destination is not None:
        name, other = source.name, destination.name
        if name == other:
            yield source, destination
            source = _after(name, next(sources, None))
            destination = _after(other, next(destinations, None))
        elif name < other:
            yield source, None
            source = _after(name, next(sources, None))
        else:
            yield None, destination
            destination = _after(other, next(destinations, None))
    while source is not None:
        yield source, None
        source = _after(source.name, next(sources, None))
    while destination is not None:
        yield None, destination
        destination = _after(destination.name, next(destinations, None))


def within(matched: Iterator[Pair], limits: Limits, tally: Tally) -> Iterator[Pair]:
    """Those of *matched* that take part by age and size.

    The source's file decides for its name; where there is none, the destination's. So what the
    source still has is never taken for gone since it has become too large, or too young. Of a
    file that is hidden only the age is known.
    """
    for source, destination in matched:
        entry = source or destination
        if entry is None or entry.trouble is not None or _takes_part(entry, limits):
            yield source, destination
        else:
            tally.passed_over += 1


def _takes_part(entry: Entry, limits: Limits) -> bool:
    is_known = entry.is_visible or not limits.of_size
    return is_known and limits.allow(entry.size, entry.modified_millis)


def plan(
    matched: Iterator[Pair],
    rules: Rules,
    refuse: Callable[[str], Refused | None],
    tally: Tally,
) -> Iterator[Action]:
    """Decide each pair; count in *tally*. *refuse* judges the source's names in order.

    A name that is refused has no part in the sync: it is reported, and what the
    destination has under that name stays. Where a side could not read a name that may be a
    folder's, nobody knows what is below it: all of that stays too, on both sides.
    """
    sight = _Sight(refuse)
    for source, destination in matched:
        tally.sources += source is not None and source.trouble is None
        left_alone = sight.left_alone(source, destination)
        if destination is not None and destination.trouble is None:
            tally.destinations += destination.is_visible
        if left_alone is not None:
            tally.problems += len(left_alone)
            yield from left_alone
            continue
        idle = True
        for action in decide(source, destination, rules):
            idle = _count(action, tally) and idle
            yield action
        if idle and source is not None:
            tally.unchanged += 1


class _Sight:
    """What the two listings could see, name after name."""

    def __init__(self, refuse: Callable[[str], Refused | None]) -> None:
        self._refuse = refuse
        self._unseen = _Hidden()  # in the source
        self._closed = _Hidden()  # in the destination

    def left_alone(self, source: Entry | None, destination: Entry | None) -> list[Problem] | None:
        """What to report of a name that is left alone; None for one that is to be decided."""
        if destination is not None:
            if source is None and self._unseen.above(destination.name):
                return []
            if destination.trouble is not None:
                return self._closed.add(destination, destination.trouble, "destination_unreadable")
        if source is None:
            return None
        if source.trouble is not None:
            return self._unseen.add(source, source.trouble, "source_unreadable")
        closed = self._closed.above(source.name)
        if closed is not None:
            # Reported with the folder, unless a pattern took out the folder's name alone.
            if not closed.is_excluded:
                return []
            return [Problem(source.name, "destination_unreadable", closed.message)]
        refused = self._refuse(source.name)
        if refused is None:
            return None
        by_id = f" Its id is b2id://{source.file_id}." if source.file_id else ""
        return [Problem(source.name, refused.code, refused.message + by_id)]


class _Hidden:
    """Names behind which a folder may hide, as long as names below them may come."""

    def __init__(self) -> None:
        self._stems: list[tuple[str, Trouble]] = []

    def add(self, entry: Entry, trouble: Trouble, code: str) -> list[Problem]:
        if trouble.hides_folder:
            self.above(entry.name)
            self._stems.append((entry.name.rstrip("/"), trouble))
        return [] if trouble.is_excluded else [Problem(entry.name, code, trouble.message)]

    def above(self, name: str) -> Trouble | None:
        """The trouble of a folder that *name* lies in. Names come in ascending order."""
        stems = self._stems
        while stems and not name.startswith(stems[-1][0]):
            stems.pop()
        return next((trouble for stem, trouble in stems if name[len(stem)] == "/"), None)


def _count(action: Action, tally: Tally) -> bool:
    """Add *action* to *tally*; whether the name's content stays as it is."""
    match action:
        case Transfer(source=source):
            tally.transfers += 1
            tally.transfer_bytes += source.size
            return False
        case Problem():
            tally.problems += 1
            return False
        case Remove(reason="gone") | Hide():
            tally.gone += 1
            return False
        case _:
            tally.old_versions += 1
            return True


def _after(name: str, entry: Entry | None) -> Entry | None:
    if entry is not None and entry.name <= name:
        raise InternalError(
            "listing_unsorted", f"A listing gave {entry.name!r} after {name!r}; the sync ends."
        )
    return entry
