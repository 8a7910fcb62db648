"""How locations look to people: without what opens them, and without the bytes themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote

# Whose locations are names, in which ?, # and @ stand for themselves.
_NAMES = {"b2", "b2id", "data", "file", "s3", "gs", "azure"}


def shown(uri: str) -> str:
    """*uri* for people: a URL of the web without user, password, query and fragment.

    Each of them may be what opens it: a signed URL is a key. Other locations are names, in
    which these characters stand for themselves.
    """
    scheme, separator, rest = uri.partition("://")
    if separator and scheme not in _NAMES:
        place, slash, path = rest.partition("#")[0].partition("?")[0].partition("/")
        return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"
    return uri


def is_inline(text: str) -> bool:
    """Whether *text* is a `data:` location, whose content must not be shown or kept."""
    return text.startswith("data:") and not text.startswith("data://")


def has_content(text: str) -> bool:
    """Whether *text* is a `data:` location of at least a byte."""
    return is_inline(text) and bool(text.partition(",")[2])


def masked(text: str) -> str:
    """*text* for people: bytes by their size, and nothing of a URL that opens it.

    `data:image/png (61 B)` for a `data:` location, which is no location any more;
    `photo.png (handed over, 2.1 MiB)` for staged bytes. What is masked already stays as it is.
    """
    if text.startswith("staged://"):
        return _handed_over(text)
    if not is_inline(text):
        return shown(text)
    header, _, payload = text.partition(",")
    if not payload:
        return text[:100]
    return f"{header.removesuffix(';base64')[:100]} ({size(_inline_bytes(header, payload))})"


def masked_all(value: Any) -> Any:
    """*value*, of JSON, with every location in it as `masked` shows it."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {name: masked_all(each) for name, each in value.items()}
        case list() | tuple():
            return [masked_all(each) for each in value]
        case _:
            return value


def size(count: float) -> str:
    """Bytes for people, in powers of 1024: `61 B`, `213 MiB`, `1.4 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024 or unit == "TiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or abs(count) >= 100 else f"{count:.1f} {unit}"


def _handed_over(uri: str) -> str:
    path, _, query = uri.removeprefix("staged://").partition("?")
    count = parse_qs(query).get("bytes", [""])[0]
    told = f", {size(int(count))}" if count.isdecimal() and len(count) < 16 else ""
    return f"{unquote(path.partition('/')[2]) or 'bytes'} (handed over{told})"


def _inline_bytes(header: str, payload: str) -> int:
    if header.endswith(";base64"):
        return len(payload.rstrip("=")) * 3 // 4
    return len(payload) - 2 * payload.count("%")
