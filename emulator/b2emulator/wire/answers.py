"""Headers of answers, spelled as B2 spells them: clients compare some of them as text."""

from __future__ import annotations

import json

from aiohttp import web

from b2emulator.errors import B2Error

_NOT_CACHED = "max-age=0, no-cache, no-store"
SUCCESS_HEADERS = {
    "Content-Type": "application/json;charset=UTF-8",
    "Cache-Control": _NOT_CACHED,
}
ERROR_HEADERS = {
    "Content-Type": "application/json;charset=utf-8",
    "Cache-Control": _NOT_CACHED,
}


def error_response(error: B2Error) -> web.Response:
    """The JSON of an error. B2 closes the connection after a 400."""
    headers = dict(ERROR_HEADERS)
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if error.challenge is not None:
        headers["WWW-Authenticate"] = error.challenge
    response = web.Response(
        status=error.status, body=json.dumps(error.as_json()).encode(), headers=headers
    )
    if error.status == 400:
        response.force_close()
    return response
