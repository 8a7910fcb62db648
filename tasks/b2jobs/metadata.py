"""What uploaders write about a file in its info in B2, read the same way everywhere."""

from __future__ import annotations

import re

MODIFIED_MILLIS = "src_last_modified_millis"
LARGE_FILE_SHA1 = "large_file_sha1"
CUSTOMER_KEY = "sse_c_key_id"
"""The name of the customer's key that encrypts it, as `b2` writes it too."""

_MILLIS = re.compile(r"-?[0-9]{1,15}\Z").match
_SHA1 = re.compile(r"(?:unverified:)?([0-9a-fA-F]{40})\Z").match
_FIRST_MILLIS, _LAST_MILLIS = -62_135_596_800_000, 253_402_300_799_999


def modified_millis(text: str | None) -> int | None:
    """The time in `src_last_modified_millis`: milliseconds since 1970, before it negative.

    None where *text* is no time: not an integer in ASCII digits alone, or outside the years
    1 to 9999, as nanoseconds are. The file then counts as modified when it was uploaded.
    """
    if text is None or not _MILLIS(text):
        return None
    millis = int(text)
    return millis if _FIRST_MILLIS <= millis <= _LAST_MILLIS else None


def sha1_hex(text: str | None) -> str | None:
    """A SHA-1 as B2 or an uploader wrote it, in lower case; None for what is not 40 hex digits."""
    match = _SHA1(text) if text is not None else None
    return match[1].lower() if match else None
