"""Schedules: when they run, how the last runs went, and a run now."""

from __future__ import annotations

from aiohttp import web

from b2jobs.schedules import Schedules
from b2jobs_console.site import SITE, back, page


async def listed(request: web.Request) -> web.Response:
    """`/schedules`."""
    site = request.app[SITE]
    found = await site.client.threads.run(_schedules(request).listed)
    return page(request, "schedules.html", schedules=found)


async def run_now(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    await request.app[SITE].client.threads.run(_schedules(request).run, name)
    raise back("/schedules", "begun")


def _schedules(request: web.Request) -> Schedules:
    return Schedules(request.app[SITE].client.client.records)
