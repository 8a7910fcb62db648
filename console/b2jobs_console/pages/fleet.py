"""Workers, and the accounts they work with."""

from __future__ import annotations

from aiohttp import web

from b2jobs import account_state, fleet, listing, numbers
from b2jobs.records import Records
from b2jobs_console.site import SITE, back, can_sign, may_submit, page

_LOOKED_AT = 50
FREE_CALLS_A_DAY = 2500
"""Of class B and of class C: backblaze.com/cloud-storage/transaction-pricing, November 2026."""


async def workers(request: web.Request) -> web.Response:
    """`/workers`."""
    site = request.app[SITE]
    found = await site.client.threads.run(fleet.workers, site.client.client.records)
    versions = {worker.version for worker in found if worker.version}
    records, run = site.client.client.records, site.client.threads.run
    return page(
        request,
        "workers.html",
        workers=found,
        versions=sorted(versions),
        missing=await run(fleet.missing, records, found),
        may_sign=await run(can_sign, records),
    )


async def accounts(request: web.Request) -> web.Response:
    """`/accounts`."""
    site = request.app[SITE]
    records, run = site.client.client.records, site.client.threads.run
    days = await run(numbers.days, records, 31)
    month = numbers.summed(day for day in days if day.since.month == days[-1].since.month)
    seen = await run(accounts_seen, records) | set(month.accounts())
    states = await run(account_state.states, records, seen)
    workers = await run(fleet.workers, records)
    return page(
        request,
        "accounts.html",
        accounts=states,
        today=days[-1],
        month=month,
        workers=workers,
        free=FREE_CALLS_A_DAY,
    )


async def check(request: web.Request) -> web.Response:
    """Ask a worker what the account's key may do."""
    site = request.app[SITE]
    name = request.match_info["name"]
    await may_submit(request)
    job = await site.client.check(name, expires=600)
    await site.client.threads.run(account_state.remember, site.client.client.records, name, job.id)
    raise back("/accounts", "begun")


def accounts_seen(records: Records) -> set[str]:
    """The accounts of the latest jobs, the default one among them."""
    found = {"default"}
    for view in ("open", "ended"):
        for record in listing.page(records, view, limit=_LOOKED_AT).records:
            found.add(str(record.request.get("account") or "default"))
    return found
