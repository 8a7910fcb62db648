"""Workers, and the accounts they work with."""

from __future__ import annotations

import time
from dataclasses import dataclass

from aiohttp import web

from b2jobs import account_state, listing
from b2jobs.records import WORKER_LIFE_SECONDS, Records
from b2jobs_console.site import SITE, back, page

_SEEN_SECONDS = 120.0
_LOOKED_AT = 200


@dataclass(frozen=True)
class Worker:
    """One process. *silent*: it showed life within two minutes, and not lately."""

    name: str
    host: str
    priorities: list[str]
    silent: bool


async def workers(request: web.Request) -> web.Response:
    """`/workers`."""
    site = request.app[SITE]
    found = await site.client.threads.run(living, site.client.client.records)
    return page(request, "workers.html", workers=found)


def living(records: Records) -> list[Worker]:
    """The processes that showed life in the last two minutes."""
    alive = set(records.workers(within_seconds=WORKER_LIFE_SECONDS))
    found = []
    for text in sorted(records.workers(within_seconds=_SEEN_SECONDS)):
        told, _, priorities = text.rpartition("|")
        name, _, host = told.partition("@")
        found.append(Worker(name, host, priorities.split(","), text not in alive))
    return found


async def accounts(request: web.Request) -> web.Response:
    """`/accounts`."""
    site = request.app[SITE]
    records, run = site.client.client.records, site.client.threads.run
    seen = await run(accounts_seen, records)
    states = await run(account_state.states, records, seen)
    return page(request, "accounts.html", accounts=states, today=time.time())


async def check(request: web.Request) -> web.Response:
    """Ask a worker what the account's key may do."""
    site = request.app[SITE]
    name = request.match_info["name"]
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
