"""The plan of a sync: two sorted listings in, actions out, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from b2jobs.errors import InternalError
from b2jobs_worker.sources.names import Refused
from b2jobs_worker.sync.decide import Action, Hide, Problem, Remove, Transfer, decide
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.rules import Rules

Pair = tuple[Entry | None, Entry | None]


@dataclass
class Tally:
    """What has been compared and planned so far."""

    sources: int = 0
    destinations: int = 0
    unchanged: int = 0
    transfers: int = 0
    transfer_bytes: int = 0
    gone: int = 0
    old_versions: int = 0
    problems: int = 0

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


def plan(
    matched: Iterator[Pair],
    rules: Rules,
    refuse: Callable[[str], Refused | None],
    tally: Tally,
) -> Iterator[Action]:
    """Decide each pair; count in *tally*. *refuse* judges the source's names in order.

    A name that is refused has no part in the sync: it is reported, and what the
    destination has under that name stays. So does all below a folder that cannot be read.
    """
    blind = "/"  # a folder of the source that could not be read: nobody knows what is in it
    for source, destination in matched:
        if destination is not None:
            if source is None and destination.name.startswith(blind):
                continue
            if destination.problem:
                tally.problems += 1
                yield Problem(destination.name, "destination_unreadable", destination.problem)
                continue
            tally.destinations += destination.is_visible
        if source is not None:
            tally.sources += 1
            if source.problem:
                refused: Refused | None = Refused("source_unreadable", source.problem)
                blind = source.name if source.name.endswith("/") else blind
            else:
                refused = refuse(source.name)
            if refused is not None:
                tally.problems += 1
                yield Problem(source.name, *refused)
                continue
        idle = True
        for action in decide(source, destination, rules):
            idle = _count(action, tally) and idle
            yield action
        if idle and source is not None:
            tally.unchanged += 1


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
