"""How a large file is cut into parts.

B2 takes 1 to 10,000 parts of 5 MB to 5 GB. Parts wait in memory until they are sent
(docs/decisions/engine-large-uploads.md), so they are smaller than the 100 MB B2
recommends for throughput over one connection; several are under way at once instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from b2jobs.errors import CallerError

MOST_PARTS = 10_000
MOST_BYTES = 10_000_000_000_000
PART_BYTES = 8 * 1024 * 1024
STREAM_PART_BYTES = 16 * 1024 * 1024
"""Where the end is not known: 10,000 parts have to reach it."""
BUFFERED_MOST_BYTES = 64 * 1024 * 1024
"""Above it, which a file of 671 GB needs, parts are not held in memory."""

_ROUND_BYTES = 1024 * 1024
_GROW_AFTER = 1000


@dataclass(frozen=True)
class PartPlan:
    """Part numbers, offsets and lengths. Numbers begin at 1; *size* None is an unknown end.

    With a known size all parts but the last have *part_bytes*. Without it they double
    after each 1,000, up to four times, which reaches 580 GB with 16 MiB to begin with.
    """

    part_bytes: int
    size: int | None

    @property
    def is_streamed(self) -> bool:
        """Whether parts are too large to wait in memory: sent one by one as they are read."""
        return self.size is not None and self.part_bytes > BUFFERED_MOST_BYTES

    @property
    def count(self) -> int | None:
        """How many parts there are; None with an unknown end."""
        return None if self.size is None else -(-self.size // self.part_bytes)

    def offset(self, number: int) -> int:
        """Where part *number* begins."""
        before = number - 1
        if self.size is not None:
            return before * self.part_bytes
        first = min(before, _GROW_AFTER)
        second = min(max(before - _GROW_AFTER, 0), _GROW_AFTER)
        rest = max(before - 2 * _GROW_AFTER, 0)
        return (first + 2 * second + 4 * rest) * self.part_bytes

    def length(self, number: int) -> int:
        """How long part *number* is, or may be at most where the end is not known."""
        end = self.offset(number + 1)
        return (end if self.size is None else min(end, self.size)) - self.offset(number)


def plan(
    size: int | None, *, chosen_bytes: int, least_bytes: int, fair_bytes: int = STREAM_PART_BYTES
) -> PartPlan:
    """The parts of a file of *size*; *chosen_bytes* is the operator's part size, 0 for ours.

    *fair_bytes*: what each slot has of the memory for parts. Where it is less than a part,
    parts are smaller, as long as it is known that there will be enough of them.

    Raises:
        CallerError: `source_too_large`, above B2's 10 TB.
    """
    ours = STREAM_PART_BYTES
    if size is not None:
        ours = min(PART_BYTES, fair_bytes // _ROUND_BYTES * _ROUND_BYTES)
    part_bytes = max(chosen_bytes or ours, least_bytes)
    if size is not None:
        if size > MOST_BYTES:
            raise too_large(size)
        needed = -(-size // MOST_PARTS)
        if needed > part_bytes:
            part_bytes = -(-needed // _ROUND_BYTES) * _ROUND_BYTES
    return PartPlan(part_bytes, size)


def too_large(size: int) -> CallerError:
    return CallerError(
        "source_too_large",
        f"The source has {size} bytes or more; B2 takes no file that large in this way.",
        hint="B2 takes up to 10 TB; a source whose size is not known beforehand up to about "
        "580 GB, which a larger part_size_bytes raises.",
    )
