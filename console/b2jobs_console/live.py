"""Tells open pages that something has changed, so that they look again.

One reader follows the stream of events for all of them, while there are any. Pages are told no
more than once a second, and every few seconds in any case, since progress is no event.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from b2jobs.errors import B2JobsError
from b2jobs.event_stream import NOW, EventReader
from b2jobs_console.site import HEADERS, SITE, Site

logger = logging.getLogger("b2jobs_console")

LEAST_SECONDS, MOST_SECONDS = 1.0, 5.0
MOST_PAGES = 200


class Live:
    """The open pages of one console."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._told: set[asyncio.Event] = set()
        self._is_closing = asyncio.Event()

    async def follow(self) -> None:
        """Read events while somebody looks; for ever."""
        reader = None
        while True:
            if not self._told:
                reader = None
                await asyncio.sleep(LEAST_SECONDS)
                continue
            try:
                reader = reader or EventReader(self._site.client.client.records, NOW)
                found = await self._site.client.threads.run_long(reader.read, LEAST_SECONDS)
            except B2JobsError as error:
                logger.warning("events are not read: %s", error)
                reader = None
                await asyncio.sleep(MOST_SECONDS)
                continue
            if found:
                for each in self._told:
                    each.set()
                await asyncio.sleep(LEAST_SECONDS)

    async def changes(self) -> AsyncIterator[str]:
        """`changed` whenever something happened, `tick` when nothing did for a while."""
        told = asyncio.Event()
        self._told.add(told)
        try:
            while not self._is_closing.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), MOST_SECONDS)
                yield "changed" if told.is_set() else "tick"
                told.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_closing.wait(), LEAST_SECONDS)
        finally:
            self._told.discard(told)

    def close(self) -> None:
        """Let go of the pages: what stops the console would wait for them."""
        self._is_closing.set()
        for each in self._told:
            each.set()

    @property
    def pages(self) -> int:
        return len(self._told)


LIVE = web.AppKey("live", Live)


async def stream(request: web.Request) -> web.StreamResponse:
    """`/live`: Server-Sent Events."""
    live = request.app[LIVE]
    if live.pages >= MOST_PAGES:
        raise web.HTTPServiceUnavailable(text="Too many pages are open.")
    response = web.StreamResponse(
        headers={**HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    with suppress(ConnectionResetError):
        await response.write(b"retry: 3000\n\n")
        async for what in live.changes():
            if request.app[SITE].gate.session(request.cookies.get("b2jobs_console", "")) is None:
                break
            await response.write(f"data: {json.dumps(what)}\n\n".encode())
    return response
