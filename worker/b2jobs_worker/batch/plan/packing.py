"""Which items travel together: pure arithmetic over a stream.

A small file costs a request, a large one its bytes. So many small files share a pack, a large
one is alone, and the first packs of a plan are small, that a short plan still reaches every
worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from b2jobs.for_people import is_inline
from b2jobs.items import Item, Planned

FEWEST_ITEMS = 32
MOST_ITEMS = 512
MOST_BYTES = 64 * 1024 * 1024
ALONE_BYTES = 16 * 1024 * 1024
MOST_INLINE = 1024 * 1024  # characters of `data:` locations, which wait in Redis with their pack
UNKNOWN_BYTES = 256 * 1024  # what a file counts as whose size the plan does not know
_GROWTH = 16  # a pack holds a sixteenth of what is planned before it
_MOST_ALONE = 8


@dataclass
class Group:
    """Packs that are submitted together, and the cursor behind the last of their items.

    Items may go into packs out of their order, so only the end of a group is a place to go
    on from.
    """

    cursor: str = ""
    packs: list[list[Planned]] = field(default_factory=list)

    def items(self) -> int:
        return sum(len(pack) for pack in self.packs)

    def size_bytes(self) -> int:
        return sum(known_bytes(planned) for pack in self.packs for planned in pack)


def groups(stream: Iterable[tuple[str, Planned]], planned_before: int = 0) -> Iterator[Group]:
    """Cut *stream* into groups of packs; at most some 500 items are held at a time.

    Every item is in exactly one pack, in its order within it. A pack holds at most
    `MOST_ITEMS` and, unless it is one item alone, `MOST_BYTES`, and `MOST_INLINE` of content.
    """
    count = planned_before
    together: list[Planned] = []
    together_bytes = inline = 0
    alone: list[list[Planned]] = []
    cursor = ""
    for behind, planned in stream:
        size, carried = _counted_bytes(planned), _inline(planned)
        if size > ALONE_BYTES:
            alone.append([planned])
        elif together and (together_bytes + size > MOST_BYTES or inline + carried > MOST_INLINE):
            yield Group(cursor, [together, *alone])
            count += len(together) + len(alone)
            together, together_bytes, inline, alone = [planned], size, carried, []
        else:
            together.append(planned)
            together_bytes += size
            inline += carried
        cursor = behind
        if len(together) >= _items_a_pack(count) or len(alone) >= _MOST_ALONE:
            yield Group(cursor, [*([together] if together else []), *alone])
            count += len(together) + len(alone)
            together, together_bytes, inline, alone = [], 0, 0, []
    if together or alone:
        yield Group(cursor, [*([together] if together else []), *alone])


def known_bytes(planned: Planned) -> int:
    """What the plan knows to be moved."""
    return (planned.size or 0) if isinstance(planned, Item) else 0


def _inline(planned: Planned) -> int:
    return len(planned.source) if is_inline(planned.source) else 0


def _counted_bytes(planned: Planned) -> int:
    if not isinstance(planned, Item) or planned.action in ("delete", "hide", "remove"):
        return 0
    return UNKNOWN_BYTES if planned.size is None else planned.size


def _items_a_pack(planned_before: int) -> int:
    return max(FEWEST_ITEMS, min(MOST_ITEMS, planned_before // _GROWTH))
