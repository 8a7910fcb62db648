"""The list of jobs, and one job's page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlencode

from aiohttp import web

from b2jobs import event_stream, listing
from b2jobs.batch_status import as_it_stands
from b2jobs.client import Client
from b2jobs.errors import Failure, InvalidJob, JobNotFound
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.requests import KINDS
from b2jobs.words import Words
from b2jobs_console.site import SITE, back, page

VIEWS = ("open", "running", "waiting", "queued", "ended", "failed", "succeeded", "cancelled")
FIELDS = ("kind", "code", "account", "destination", "text")
_FAILURES_LOOKED_AT = 1000
_BATCHES = ("batch", "sync")


@dataclass(frozen=True)
class Step:
    """One line of a job's way."""

    at: datetime
    what: str
    more: str = ""


async def listed(request: web.Request) -> web.Response:
    """`/jobs`: one page of them."""
    site = request.app[SITE]
    view: Any = request.query.get("view", "open")
    if view not in VIEWS:
        raise InvalidJob(f"There is no view {view!r}.", hint=f"Known are {', '.join(VIEWS)}.")
    given = {name: request.query.get(name, "").strip()[:512] for name in FIELDS}
    wanted = listing.Filter(**given)
    records = site.client.client.records
    run = site.client.threads.run
    found = await run(
        listing.page, records, view, after=request.query.get("after", ""), wanted=wanted
    )
    counts = await run(records.counts)
    stand = [await run(as_it_stands, records, record) for record in found.records]
    rows = [(record, await run(records.waiting_for, record)) for record in stand]
    groups = []
    if view == "failed" and "after" not in request.query:
        groups = await run(by_code, records, given["code"])
    kept = {name: value for name, value in given.items() if value}
    return page(
        request,
        "jobs.html",
        view=view,
        views=VIEWS,
        counts=_by_view(counts),
        rows=rows,
        groups=groups,
        looked_at_groups=_FAILURES_LOOKED_AT,
        given=given,
        kinds=[kind for kind in KINDS if kind not in listing.INTERNAL],
        looked_at=found.looked_at,
        is_filtered=bool(wanted),
        next=urlencode({"view": view, **kept, "after": found.after}) if found.after else "",
        kept=urlencode(kept),
        is_first="after" not in request.query,
    )


async def shown(request: web.Request) -> web.Response:
    """`/jobs/ID`: all that is known of one job."""
    site = request.app[SITE]
    records = site.client.client.records
    job_id = request.match_info["id"]
    run = site.client.threads.run
    record = await run(records.get, job_id)
    if record.kind in _BATCHES:
        raise web.HTTPSeeOther(f"/batches/{job_id}")
    steps, is_complete = await run(way, records, record)
    return page(
        request,
        "job.html",
        record=record,
        why=await run(records.waiting_for, record),
        steps=steps,
        words=await run(Words(records).of_job, job_id),
        is_complete=is_complete,
        may_cancel=not record.has_ended,
        may_retry=record.state in ("failed", "cancelled"),
    )


async def cancel(request: web.Request) -> web.Response:
    site = request.app[SITE]
    job_id = request.match_info["id"]
    await site.client.job(job_id).cancel()
    raise back(f"/jobs/{job_id}", "cancelled")


async def retry(request: web.Request) -> web.Response:
    site = request.app[SITE]
    job_id = request.match_info["id"]
    record = await site.client.threads.run(site.client.client.records.get, job_id)
    if record.kind in _BATCHES:
        raise JobNotFound(f"The job {job_id!r} is a {record.kind}: try it again on its own page.")
    await site.client.threads.run(site.client.client.records.retry, job_id)
    raise back(f"/jobs/{job_id}", "retried")


async def retry_code(request: web.Request) -> web.Response:
    """Queue all that failed with a code again, of those that the page has counted."""
    site = request.app[SITE]
    code = str((await request.post()).get("code", ""))
    if not code:
        raise InvalidJob("There is no code of what is to be tried again.")
    again = site.client.threads.run_long
    refused = await again(_retry_all, site.client.client, code)
    raise back("/jobs?view=failed", "some" if refused else "retried")


def _retry_all(client: Client, code: str) -> int:
    """How many could not be queued: what came with them, or the keys, are gone."""
    refused = 0
    for job_id, _, failure in listing.latest_failures(client.records, _FAILURES_LOOKED_AT):
        if failure.code != code:
            continue
        try:
            if client.records.get(job_id).kind in _BATCHES:
                client.batch_job(job_id).retry(only_failed=True)
            else:
                client.records.retry(job_id)
        except (InvalidJob, JobNotFound):
            refused += 1
    return refused


@dataclass(frozen=True)
class Group:
    """Jobs that failed with one code; *job*, *ended* and *failure* are those of the latest."""

    code: str
    count: int
    job: str
    ended: datetime
    failure: Failure


def by_code(records: Records, code: str = "") -> list[Group]:
    """The last failures by code, the most frequent first; only *code*, where one is given."""
    latest: dict[str, tuple[str, datetime, Failure]] = {}
    counts: Counter[str] = Counter()
    for job_id, ended, failure in listing.latest_failures(records, _FAILURES_LOOKED_AT):
        if code in ("", failure.code):
            counts[failure.code] += 1
            latest.setdefault(failure.code, (job_id, ended, failure))
    return [Group(name, count, *latest[name]) for name, count in counts.most_common(20)]


def way(records: Records, record: Record) -> tuple[list[Step], bool]:
    """The job's way from being submitted on, and whether all of it is known."""
    begin = record.created or datetime.now(UTC)
    end = (record.ended or datetime.now(UTC)) + timedelta(seconds=2)
    events, is_all = event_stream.history(records, record.id, begin - timedelta(seconds=1), end)
    steps = [Step(event.at, event.event.replace("_", " "), _said(event)) for event in events]
    has_begin = bool(events) and events[0].event in ("submitted", "refused")
    if not has_begin:  # events are kept for a while, the record's own times as long as it is
        steps.insert(0, Step(begin, "submitted"))
        if record.started and not any(step.what == "started" for step in steps):
            steps.append(Step(record.started, "started", "the first attempt"))
        if record.ended and not any(step.what == "ended" for step in steps):
            steps.append(Step(record.ended, "ended", record.state))
    if record.progress and not record.has_ended:
        done, total = record.progress.get("done"), record.progress.get("total")
        steps.append(Step(datetime.now(UTC), str(record.progress.get("phase", "working")),
                          f"{done:,} of {total:,} bytes" if done and total else ""))  # fmt: skip
    if record.result and record.result.get("verified") and record.ended:
        steps.insert(-1, Step(record.ended, "verified", "SHA-1 compared end to end"))
    return sorted(steps, key=lambda step: step.at), is_all and has_begin


def _said(event: event_stream.Event) -> str:
    """What an event knows besides its name, the state first."""
    told = {name: value for name, value in event.details.items() if value or name == "state"}
    parts = [str(told.pop(name)) for name in ("state", "reason", "code") if name in told]
    return ", ".join([*parts, *(f"{name} {value}" for name, value in sorted(told.items()))])


def _by_view(counts: dict[Any, int]) -> dict[str, int]:
    of = {
        "open": ("running", "waiting", "queued"),
        "ended": ("succeeded", "failed", "cancelled"),
    }
    return {view: sum(counts[state] for state in of.get(view, (view,))) for view in VIEWS}


assert set(VIEWS) < set(get_args(listing.View))
