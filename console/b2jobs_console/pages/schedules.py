"""Schedules: when they run, how the last runs went; a run now, a pause."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from b2jobs.schedules import Schedules
from b2jobs_console.site import SITE, back, may_submit, page


async def listed(request: web.Request) -> web.Response:
    """`/schedules`."""
    site = request.app[SITE]
    found = await site.client.threads.run(_schedules(request).listed)
    return page(request, "schedules.html", schedules=found)


async def run_now(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    await may_submit(request)
    await request.app[SITE].client.threads.run(_schedules(request).run, name)
    raise back("/schedules", "begun")


async def pause(request: web.Request) -> web.Response:
    return await _pressed(request, _schedules(request).pause, "held")


async def resume(request: web.Request) -> web.Response:
    return await _pressed(request, _schedules(request).resume, "resumed")


async def _pressed(request: web.Request, act: Callable[[str], object], said: str) -> web.Response:
    await request.app[SITE].client.threads.run(act, request.match_info["name"])
    raise back("/schedules", said)


def _schedules(request: web.Request) -> Schedules:
    return Schedules(request.app[SITE].client.client.records)
