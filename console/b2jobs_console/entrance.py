"""Logging in and out."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from b2jobs_console.gate import COOKIE, SESSION_SECONDS
from b2jobs_console.site import SESSION, SITE, page

_PAUSE_SECONDS = 1.0
"""After a wrong token; the wrong ones of everybody wait in one line."""
_wrong = asyncio.Lock()


async def form(request: web.Request) -> web.StreamResponse:
    """`/login`. The address that the console prints at its start carries the token it made."""
    token = request.query.get("token")
    if token is not None and request.app[SITE].gate.made:
        return await _enter(request, token)
    if SESSION in request:
        raise web.HTTPSeeOther("/")
    return page(request, "login.html", next=_own(request.query.get("next", "/")))


async def enter(request: web.Request) -> web.StreamResponse:
    """Compares the token and begins a session."""
    given = (await request.post()).get("token", "")
    return await _enter(request, given.strip() if isinstance(given, str) else "")


async def leave(request: web.Request) -> web.StreamResponse:
    """Ends the session in this browser."""
    del request
    response = web.HTTPSeeOther("/login")
    response.del_cookie(COOKIE, path="/")
    raise response


async def _enter(request: web.Request, token: str) -> web.StreamResponse:
    site = request.app[SITE]
    role = site.gate.role(token)
    asked = request.query.get("next", "/")
    if role is None:
        async with _wrong:
            await asyncio.sleep(_PAUSE_SECONDS)
        raise web.HTTPSeeOther("/login?said=wrong")
    response = web.HTTPSeeOther(_own(asked))
    response.set_cookie(
        COOKIE,
        site.gate.cookie(role),
        path="/",
        max_age=SESSION_SECONDS,
        expires=time.strftime(
            "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + SESSION_SECONDS)
        ),
        httponly=True,
        samesite="Strict",
        secure=site.settings.https,
    )
    raise response


def _own(place: str) -> str:
    """*place* if it is one of ours, else the first page: no way out to another site."""
    is_own = place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable()
    return place if is_own and not place.startswith("/login") else "/"
