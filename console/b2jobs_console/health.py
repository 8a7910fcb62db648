"""`/healthz` and `/readyz`: whether this console lives, and whether it can see the queue."""

from __future__ import annotations

from aiohttp import web

from b2jobs.errors import B2JobsError
from b2jobs_console.site import SITE

_LOOK_SECONDS = 2.0


async def healthz(request: web.Request) -> web.Response:
    """This process answers. Redis is not asked: restarting the console would not heal it."""
    del request
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """200 where Redis answers, with how many workers live; else 503 and why."""
    site = request.app[SITE]
    records = site.client.client.records
    try:
        alive = await site.client.threads.run_within(
            _LOOK_SECONDS, records.workers, within_seconds=30.0
        )
    except B2JobsError as error:
        return web.json_response({"status": "unavailable", "reason": str(error)}, status=503)
    return web.json_response({"status": "ok", "workers": len(alive)})
