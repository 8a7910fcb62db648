"""JSON as it arrives: how much, and what of it is JSON that can be stored and sent back."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from aiohttp import web

from b2emulator.errors import B2Error, bad_request
from b2emulator.journal import Entry

MAX_JSON_BYTES = 8 << 20


async def read_body(request: web.BaseRequest, entry: Entry | None = None) -> bytes:
    """The whole body of a call, chunked or not. Raises bad_request when it is too large."""
    blocks, size = [], 0
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise _too_large()
    while block := await request.content.readany():
        size += len(block)
        if entry is not None:
            entry.bytes_in = size
        if size > MAX_JSON_BYTES:
            raise _too_large()
        blocks.append(block)
    return b"".join(blocks)


def parse_json(body: bytes) -> Any:
    """What *body* says; nothing is an empty object.

    Raises:
        B2Error: bad_json, also for what Python takes and JSON has not: NaN, numbers
            beyond a double, text that is no Unicode, and nesting without end.
    """
    if not body.strip():
        return {}
    try:
        text = body.decode()
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # lone surrogates are no text
    except (ValueError, RecursionError):
        raise bad_request("the request body is not JSON", "bad_json") from None
    return found


def _too_large() -> B2Error:
    return bad_request(f"the request body is over {MAX_JSON_BYTES} bytes")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is beyond a double")
    return number
