"""The one reader of `src_last_modified_millis`, the time that is kept with a file in B2."""

from __future__ import annotations

import re

_MILLIS = re.compile(r"-?[0-9]{1,14}")

EARLIEST_MILLIS = -(2**31) * 1000
LATEST_MILLIS = (2**34 - 2**31 - 1) * 1000
"""1901-12-13 to 2446-05-10: what ext4, xfs and others keep. A file system would turn a time
outside of it into another one, and every sync would see a difference."""


def read_millis(text: str | None) -> int | None:
    """Milliseconds since 1970 in decimal, negative ones before it; None for anything else.

    None too for what no file system keeps, such as nanoseconds: then a file has the time it
    was uploaded at, in every part of b2jobs.
    """
    if text is None or not _MILLIS.fullmatch(text):
        return None
    millis = int(text)
    return millis if EARLIEST_MILLIS <= millis <= LATEST_MILLIS else None
