"""The routes, the socket, and the life of the console."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files

from aiohttp import web

from b2jobs_console import entrance, health, live, metrics, site
from b2jobs_console.gate import Gate
from b2jobs_console.pages import batches, fleet, jobs, overview, schedules, words
from b2jobs_console.settings import Settings

_MOST_BODY_BYTES = 64 * 1024
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def make_app(settings: Settings, gate: Gate) -> web.Application:
    """The application: every page, and what guards them."""
    app = web.Application(
        middlewares=[site.heads, site.errors, site.guard], client_max_size=_MOST_BODY_BYTES
    )
    app[site.SITE] = site.make(settings, gate)
    app[live.LIVE] = live.Live(app[site.SITE])
    get, post = app.router.add_get, app.router.add_post
    get("/", overview.overview)
    get("/login", entrance.form)
    post("/login", entrance.enter)
    post("/logout", entrance.leave)
    get("/jobs", jobs.listed)
    get("/jobs/{id}", jobs.shown)
    post("/jobs/retry", jobs.retry_code)
    post("/jobs/{id}/cancel", jobs.cancel)
    post("/jobs/{id}/retry", jobs.retry)
    get("/batches", batches.listed)
    get("/batches/{id}", batches.shown)
    get("/batches/{id}/report", batches.report)
    for name in ("pause", "resume", "cancel", "retry"):
        post(f"/batches/{{id}}/{name}", getattr(batches, name))
    get("/schedules", schedules.listed)
    for name in ("pause", "resume"):
        post(f"/schedules/{{name}}/{name}", getattr(schedules, name))
    post("/schedules/{name}/run", schedules.run_now)
    get("/workers", fleet.workers)
    get("/accounts", fleet.accounts)
    post("/accounts/{name}/check", fleet.check)
    get("/words", words.listed)
    post("/words/{id}/resend", words.resend)
    get("/live", live.stream)
    get("/static/{name}", _static)
    get("/healthz", health.healthz)
    get("/readyz", health.readyz)
    get("/metrics", metrics.metrics)
    app.cleanup_ctx.append(_following)
    app.on_shutdown.append(_close)
    return app


@asynccontextmanager
async def serving(settings: Settings, gate: Gate) -> AsyncIterator[int]:
    """Listen as the settings say; the value is the port.

    Raises:
        OSError: the address cannot be listened on.
    """
    runner = web.AppRunner(make_app(settings, gate), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        where = web.TCPSite(runner, settings.host, settings.port)
        await where.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _following(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[live.LIVE].follow())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _close(app: web.Application) -> None:
    app[live.LIVE].close()


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    path = files("b2jobs_console") / "static" / name
    kind = _TYPES.get(name.rpartition(".")[2])
    if kind is None or "/" in name or not path.is_file():
        raise web.HTTPNotFound
    return web.Response(
        body=path.read_bytes(),
        content_type=kind,
        charset="utf-8",
        headers={"Cache-Control": "max-age=300"},
    )
