"""Batches and syncs: the list, one's page, what is pressed on it, and its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from aiohttp import web

from b2jobs import listing, samples
from b2jobs.batch_status import BatchStatus
from b2jobs.batches import BatchHandle
from b2jobs.errors import B2JobsError, InvalidJob
from b2jobs_console.site import HEADERS, SITE, back, page

_PAGE = 20


async def listed(request: web.Request) -> web.Response:
    """`/batches`: open ones first, then the latest that ended."""
    site = request.app[SITE]
    client, run = site.client.client, site.client.threads.run
    found = await run(
        listing.page, client.records, "batches", after=request.query.get("after", ""), limit=_PAGE
    )
    rows = []
    for record in found.records:
        try:
            status = await run(client.batch_job(record.id).status)
        except B2JobsError:  # it has expired meanwhile
            continue
        rows.append((record, status))
    total = await run(listing.count, client.records, "batches")
    return page(request, "batches.html", rows=rows, total=total, after=found.after)


async def shown(request: web.Request) -> web.Response:
    """`/batches/ID`: how far it is, what failed, what it would do."""
    site = request.app[SITE]
    batch, run = _handle(request), site.client.threads.run
    status = await run(batch.status)
    record = await run(batch.record)
    found = await run(samples.failed, site.client.client.records, batch.id, set(status.codes))
    return page(
        request,
        "batch.html",
        record=record,
        status=status,
        plan=_plan(record.result or {}),
        samples=found,
        left=time_left(status),
        rate=rate(status),
        has_ended=record.has_ended,
        is_paused=status.reason == "paused",
        is_dry=(record.result or {}).get("status") == "dry_run",
    )


async def pause(request: web.Request) -> web.Response:
    return await _pressed(request, lambda batch: batch.pause(), "paused")


async def resume(request: web.Request) -> web.Response:
    return await _pressed(request, lambda batch: batch.resume(), "resumed")


async def cancel(request: web.Request) -> web.Response:
    return await _pressed(request, lambda batch: batch.cancel(), "cancelled")


async def retry(request: web.Request) -> web.Response:
    """Run again what failed with the code given, or all that did not succeed."""
    form = await request.post()
    code = str(form.get("code", ""))
    batch = _handle(request)
    record = await request.app[SITE].client.threads.run(batch.record)
    if not record.has_ended:
        raise InvalidJob(
            "The batch is still under way.",
            code="batch_open",
            hint="What heals by itself it tries again; the rest when it has ended.",
        )
    codes = [code] if code else []
    return await _pressed(
        request, lambda one: one.retry(codes=codes, only_failed=bool(codes)), "retried"
    )


async def report(request: web.Request) -> web.StreamResponse:
    """The report, as it is read: JSON lines, never held as a whole."""
    site = request.app[SITE]
    batch = site.client.batch_job(request.match_info["id"])
    status = await batch.status()
    lines = site.client.threads.pages(_handle(request).report)
    name = quote(f"{batch.id}.jsonl", safe="")
    response = web.StreamResponse(
        headers={
            **HEADERS,
            "Content-Type": "application/jsonl; charset=utf-8",
            "Cache-Control": "no-store",
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "X-Batch-State": status.state,
        }
    )
    await response.prepare(request)
    async for some in lines:
        await response.write("".join(f"{line}\n" for line in some).encode())
    await response.write_eof()
    return response


def rate(status: BatchStatus) -> float:
    """Items a second since it began."""
    return status.finished_items / status.seconds if status.seconds else 0.0


def time_left(status: BatchStatus) -> float | None:
    """Seconds until the end if it goes on as until now; None where that is not known."""
    total = status.total_items or (status.items if status.planned_all else None)
    if total is None or status.state != "running" or not status.finished_items:
        return None
    by_items = (total - status.finished_items) / rate(status)
    moved = status.moved_bytes + status.moving_bytes
    all_bytes = status.total_bytes or status.size_bytes
    if not moved or not status.seconds or all_bytes <= moved:
        return by_items
    return max(by_items, (all_bytes - moved) / (moved / status.seconds))


def _handle(request: web.Request) -> BatchHandle[Any]:
    return request.app[SITE].client.client.batch_job(request.match_info["id"])


async def _pressed(
    request: web.Request, act: Callable[[BatchHandle[Any]], object], said: str
) -> web.Response:
    batch = _handle(request)
    run = request.app[SITE].client.threads.run
    await run(batch.status)  # a job that is no batch is refused here
    await run(act, batch)
    raise back(f"/batches/{batch.id}", said)


def _plan(result: dict[str, Any]) -> list[tuple[str, int, int]]:
    """What a dry run would do: action, files, bytes."""
    return [
        (action, int(what["items"]), int(what["size_bytes"]))
        for action, what in (result.get("plan") or {}).items()
        if isinstance(what, dict)  # beside them stands how many sizes are not known
    ]
