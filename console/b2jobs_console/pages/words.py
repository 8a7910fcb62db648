"""Words that have not been delivered: whom, why not, and once more."""

from __future__ import annotations

from aiohttp import web

from b2jobs.words import Word, Words, WordState
from b2jobs_console.site import SITE, back, page

_MOST = 50


async def listed(request: web.Request) -> web.Response:
    """`/words`: those that were given up, and the next of those that wait."""
    site = request.app[SITE]
    return page(
        request,
        "words.html",
        given_up=await site.client.threads.run(_first, request, "undelivered"),
        waiting=await site.client.threads.run(_first, request, "waiting"),
        most=_MOST,
    )


async def resend(request: web.Request) -> web.Response:
    word = request.match_info["id"]
    await request.app[SITE].client.threads.run(_words(request).resend, word)
    raise back("/words", "sent")


def _first(request: web.Request, standing: WordState) -> list[Word]:
    return list(_words(request).listed(standing=standing, limit=_MOST))


def _words(request: web.Request) -> Words:
    return Words(request.app[SITE].client.client.records)
