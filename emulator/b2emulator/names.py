"""What B2 takes as the name of a file, of a bucket, and as file info."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes

from b2emulator.errors import bad_request

MAX_NAME_BYTES = 1024
MAX_INFO_ENTRIES = 10
MAX_HEADER_BYTES = 7000
MAX_HEADER_BYTES_WITH_LOCK_OR_ENCRYPTION = 2048
_BUCKET = re.compile(r"[A-Za-z0-9-]{6,63}")
_INFO_KEY = re.compile(r"[A-Za-z0-9\-_.`~!#$%^&*'|+]{1,50}")
HEADER_OF_INFO = {
    "b2-content-disposition": "Content-Disposition",
    "b2-content-language": "Content-Language",
    "b2-expires": "Expires",
    "b2-cache-control": "Cache-Control",
    "b2-content-encoding": "Content-Encoding",
}
"""File info that becomes a header of the download, as it is."""
SAFE = "/-_.~!$'()*;=:@"
"""B2 leaves these as they are in the names it sends back."""


def check_file_name(name: str) -> str:
    """*name*, or bad_request with B2's reason.

    Leading, trailing and doubled slashes are refused by b2sdk, not by B2.
    """
    encoded = name.encode()
    if not encoded:
        raise bad_request("File names must not be empty")
    if len(encoded) > MAX_NAME_BYTES:
        raise bad_request("File names must be at most 1024 bytes of UTF-8")
    if any(ord(char) < 32 for char in name):
        raise bad_request("File names must not contain a code below 32")
    if "\x7f" in name:
        raise bad_request("File names must not contain DEL")
    return name


def check_bucket_name(name: str) -> str:
    """*name*, or bad_request with B2's reason."""
    if not _BUCKET.fullmatch(name) or name.lower().startswith("b2-"):
        raise bad_request(
            f"Invalid bucketName: {name[:80]!r} must be 6 to 63 letters, digits and -,"
            " and not start with b2-"
        )
    return name


def check_file_info(info: Mapping[str, object], name: str, *, strict: bool) -> dict[str, str]:
    """File info as B2 stores it: lower-case keys, text values, within the header limits.

    *strict* is for encrypted files and buckets with file lock, whose limit is 2,048 bytes.
    """
    stored: dict[str, str] = {}
    size = len(quote(name, safe=SAFE))
    for key, value in info.items():
        if not _INFO_KEY.fullmatch(key):
            raise bad_request(f"Bad file info name: {key}")
        if not isinstance(value, str):
            raise bad_request(f"File info value must be a string: {key}")
        lower = key.lower()
        if lower.startswith("b2-") and lower not in HEADER_OF_INFO:
            raise bad_request(f"File info names starting with b2- are reserved: {key}")
        if "\0" in value or (lower in HEADER_OF_INFO and not is_header_safe(value)):
            raise bad_request(f"Bad file info value: {key}")
        size += len("x-bz-info-") + len(lower) + len(quote(value, safe=SAFE))
        stored[lower] = value
    if len(stored) > MAX_INFO_ENTRIES:
        raise bad_request("Too many file info entries: at most 10")
    limit = MAX_HEADER_BYTES_WITH_LOCK_OR_ENCRYPTION if strict else MAX_HEADER_BYTES
    if size > limit:
        raise bad_request(f"File name and file info headers take {size} bytes, over {limit}")
    return stored


def check_info_keys(info: Mapping[str, object]) -> None:
    """Keys of bucket info follow the rules of file info."""
    for key in info:
        if not _INFO_KEY.fullmatch(key):
            raise bad_request(f"Bad info name: {key}")


def is_header_safe(value: str) -> bool:
    """Whether *value* can stand in a header: no control characters but the tab."""
    return all(char == "\t" or (char >= " " and char != "\x7f") for char in value)


def percent_decode(text: str) -> str:
    """Undo B2's percent encoding; bytes that are no UTF-8 are refused."""
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise bad_request(f"Bad percent encoding or not UTF-8: {text}") from None


def percent_encode(text: str) -> str:
    """Percent encoding as B2 sends it in headers."""
    return quote(text, safe=SAFE)


def successor(prefix: str) -> str | None:
    """The smallest text above everything that starts with *prefix*; None when there is none.

    By code points, which is the order of UTF-8 bytes; the surrogates, which no
    file name holds, are stepped over.
    """
    while prefix:
        code = ord(prefix[-1]) + 1
        if 0xD800 <= code <= 0xDFFF:
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:-1] + chr(code)
        prefix = prefix[:-1]
    return None
