"""File ids in B2's own form.

    4_z<bucket id>_f<kind><number>_d20150809_m012853_c001_v0001000_t0000_u01439083733000

b2sdk reads the digit after `_f` (1 small, 2 large); the number after it is the
row in the index, so an id is found without an index of its own.
"""

from __future__ import annotations

import re
import time

SMALL, LARGE = 1, 2
MAX_MILLIS = 10**14 - 1
"""The latest time an id has room for."""
_SHAPE = re.compile(
    r"4_z(?P<bucket>[0-9a-f]{24})_f(?P<kind>[12])(?P<number>[0-9a-f]{15})"
    r"_d\d{8}_m\d{6}_c\d{3}_v\d{7}_t\d{4}_u(?P<millis>\d{14})",
    re.ASCII,
)


def make_file_id(bucket_id: str, kind: int, number: int, millis: int) -> str:
    """The id of the *number*-th version of this emulator, begun at *millis*."""
    date = time.strftime("_d%Y%m%d_m%H%M%S", time.gmtime(millis // 1000))
    return f"4_z{bucket_id}_f{kind}{number:015x}{date}_c001_v0001000_t0000_u{millis:014d}"


def number_of(file_id: str) -> int | None:
    """The index row an id stands for, or None when it is no id at all."""
    match = _SHAPE.fullmatch(file_id)
    return int(match["number"], 16) if match else None


def order_of(file_id: str) -> tuple[int, int] | None:
    """(upload timestamp, number) as the id tells them; versions sort by it, newest first."""
    match = _SHAPE.fullmatch(file_id)
    return (int(match["millis"]), int(match["number"], 16)) if match else None
