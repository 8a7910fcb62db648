"""File info as B2 takes it, and the headers among it that B2 sends with a file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field

from b2jobs.metadata import LARGE_FILE_SHA1, MODIFIED_MILLIS, modified_millis, sha1_hex

_INFO_KEY = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,50}\Z")
_CONTENT_TYPE = re.compile(r"[\x20-\x7e]+\Z")
_INFO_LIMIT = 8  # B2 allows 10; the job's mark and the source's modification time take two
_INFO_HEADER_BYTES = len("x-bz-info-")
_INFO_BYTES = 5_500  # what is left of B2's 7,000 for the name and for what b2jobs adds
_STRICT_INFO_BYTES = 1_700  # and of its 2,048 with encryption or a lock; the name is seen to later

HEADERS = {
    "cache_control": "b2-cache-control",
    "content_disposition": "b2-content-disposition",
    "content_encoding": "b2-content-encoding",
    "content_language": "b2-content-language",
    "content_expires": "b2-expires",
}
"""The headers that B2 sends with a file: a job's word for each, and its name in file info."""

HEADERS_IN_INFO = frozenset(HEADERS.values())

_TOKEN = r"[A-Za-z0-9!#$&+.^_`|~-]+"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_LIST = re.compile(
    rf"{_TOKEN}(?:={_TOKEN}|={_QUOTED})?(?:\s*,\s*{_TOKEN}(?:={_TOKEN}|={_QUOTED})?)*"
)
_TOKENS = re.compile(rf"{_TOKEN}(?:\s*,\s*{_TOKEN})*")
_DISPOSITION = re.compile(rf"{_TOKEN}(?:\s*;\s*{_TOKEN}\s*=\s*(?:{_TOKEN}|{_QUOTED}))*")
# B2 refuses an upload whose header it cannot read, and parameters with a `*`.
_GRAMMAR = {
    "b2-cache-control": (_LIST, "public, max-age=3600"),
    "b2-content-disposition": (_DISPOSITION, 'attachment; filename="report.pdf"'),
    "b2-content-encoding": (_TOKENS, "gzip"),
    "b2-content-language": (_TOKENS, "de, en"),
}


def check_content_type(text: str) -> str:
    """Refuse a content type that cannot be a header."""
    if not _CONTENT_TYPE.match(text):
        raise ValueError(f"is {text!r:.100}; a content type is printable ASCII such as text/plain")
    return text


ContentType = Annotated[
    str, Field(min_length=1, max_length=256), AfterValidator(check_content_type)
]


def check_header(name: str, text: str) -> str:
    """Refuse *text* as the header that info has under *name*, where B2 would."""
    grammar, example = _GRAMMAR.get(name, (None, "Thu, 01 Dec 2044 16:00:00 GMT"))
    if not (grammar.fullmatch(text) if grammar else _is_date(text)):
        raise ValueError(f"B2 refuses it; write it such as {example}")
    return text


def _is_date(text: str) -> bool:
    try:
        return parsedate_to_datetime(text) is not None
    except ValueError:
        return False


def http_date(text: str) -> str:
    """*text*, an HTTP date or RFC 3339, as HTTP has it: `Thu, 01 Dec 2044 16:00:00 GMT`."""
    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(
                "write a time such as Thu, 01 Dec 2044 16:00:00 GMT or 2044-12-01T16:00:00Z"
            ) from error
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return format_datetime(time.astimezone(UTC), usegmt=True)


def check_info(info: dict[str, str], *, strict: bool = False) -> dict[str, str]:
    """Refuse file info B2 would refuse: see "File Information" in B2's documentation.

    *strict*: the file is to be encrypted, retained or held, which leaves less room.
    """
    if len(info) > _INFO_LIMIT:
        raise ValueError(f"has {len(info)} entries, {_INFO_LIMIT} are allowed")
    for name, text in info.items():
        if not _INFO_KEY.match(name):
            raise ValueError(f"has the key {name!r}; keys are up to 50 lower-case characters")
        if name.startswith(("b2-", "b2jobs")) and name not in HEADERS_IN_INFO:
            raise ValueError(
                f"has the key {name!r}; names beginning with b2- or b2jobs are taken, "
                f"except {', '.join(sorted(HEADERS_IN_INFO))}"
            )
        if any(ord(char) < 32 or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in text):
            raise ValueError(f"has control characters or broken ones in {name!r}: {text!r:.100}")
        if name in HEADERS_IN_INFO:
            try:
                check_header(name, text)
            except ValueError as error:
                raise ValueError(f"has {name}={text!r:.100}: {error}") from error
        if name == MODIFIED_MILLIS and modified_millis(text) is None:
            raise ValueError(
                f"has src_last_modified_millis={text!r:.100}; it is a time in milliseconds since "
                "1970, such as 1700000000000, which other tools read"
            )
        if name == LARGE_FILE_SHA1 and sha1_hex(text) is None:
            raise ValueError(f"has large_file_sha1={text!r:.100}; it is 40 hex digits")
    used = sum(len(name) + _INFO_HEADER_BYTES + len(quote(text)) for name, text in info.items())
    most = _STRICT_INFO_BYTES if strict else _INFO_BYTES
    if used > most:
        raise ValueError(
            f"takes {used} bytes with its names; {most} are allowed, as B2 takes 7,000 "
            "with the file's name (2,048 with encryption or object lock)"
        )
    return info
