"""What every request passes: the headers, the gate, and errors that become pages."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from b2jobs.async_client import AsyncClient
from b2jobs.commands import wants_signatures
from b2jobs.errors import B2JobsError, InvalidJob, JobNotFound, QueueUnavailable, WordNotFound
from b2jobs.printable import printable
from b2jobs.records import Records
from b2jobs_console import words
from b2jobs_console.gate import COOKIE, Gate, Session
from b2jobs_console.settings import Settings

logger = logging.getLogger("b2jobs_console")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MACHINES = ("/metrics", "/healthz", "/readyz")
_OPEN = ("/login", "/static/")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Site:
    """What all pages share."""

    settings: Settings
    client: AsyncClient
    gate: Gate
    templates: Environment


SITE = web.AppKey("site", Site)
SESSION = web.RequestKey("session", Session)


def make(settings: Settings, gate: Gate) -> Site:
    """The site, connected to nothing yet."""
    templates = Environment(
        loader=PackageLoader("b2jobs_console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=words.shown,
    )
    templates.filters.update(words.FILTERS)
    for name in templates.list_templates():
        templates.get_template(name)  # compiled now: the first to ask does not wait for it
    client = AsyncClient(settings.redis_url, key_prefix=settings.key_prefix)
    return Site(settings, client, gate, templates)


def page(
    request: web.Request, template: str, *, http_status: int = 200, **values: Any
) -> web.Response:
    """A page from *template*, for whoever asks."""
    site = request.app[SITE]
    session = request.get(SESSION)
    text = site.templates.get_template(template).render(
        path=request.path,
        said=SAID.get(request.query.get("said", ""), ""),
        session=session,
        may_act=session is not None and session.may_act,
        now=datetime.now(UTC),
        **values,
    )
    return web.Response(text=text, content_type="text/html", status=http_status)


SAID = {
    "retried": "It is queued again.",
    "cancelled": "It is asked to stop.",
    "paused": "It is paused.",
    "held": "It begins no run by itself until it is resumed.",
    "some": "They are queued again, but those whose bytes or keys are gone.",
    "resumed": "It goes on.",
    "begun": "A run has been queued.",
    "sent": "It is sent again.",
    "wrong": "That is not the token.",
}
"""What a page says after something was pressed; the address names it by its word."""


def back(place: str, said: str) -> web.HTTPSeeOther:
    """To *place*, which says that it is done."""
    return web.HTTPSeeOther(f"{place}{'&' if '?' in place else '?'}said={said}")


async def may_submit(request: web.Request) -> None:
    """Refuse to submit what no worker would do.

    Raises:
        InvalidJob: `keys_missing`
    """
    site = request.app[SITE]
    if not await site.client.threads.run(can_sign, site.client.client.records):
        raise InvalidJob(
            "The workers do what is signed alone, and this console has no key.",
            code="keys_missing",
            hint="Set B2JOBS_KEYS_FILE where the console runs.",
        )


def can_sign(records: Records) -> bool:
    """Whether what this process submits is done: it has keys, or no worker asks for them."""
    if records.ring.name:
        return True
    return not wants_signatures(records)


@web.middleware
async def heads(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Puts the headers on every answer, also on those that are errors."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    if not response.prepared:
        response.headers.update(HEADERS)
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
    return response


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what went wrong into a page that says what to do."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or request.path in MACHINES:
            raise
        text = error.text if error.text and not error.text.startswith(str(error.status)) else ""
        return _wrong(request, error.status, text or error.reason)
    except B2JobsError as error:
        status = 500
        if isinstance(error, JobNotFound | WordNotFound):
            status = 404
        elif isinstance(error, InvalidJob):
            status = 400
        elif isinstance(error, QueueUnavailable):
            status = 503
        return _wrong(request, status, str(error), error.hint)
    except Exception:
        logger.exception("a bug in b2jobs: %s %s", request.method, printable(request.path))
        return _wrong(request, 500, "A bug in b2jobs.", "The console's log says more.")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets nobody pass who may not: another host's name, no session, a form that is not ours."""
    site = request.app[SITE]
    for_machines = request.path in MACHINES
    if not site.gate.knows_host(request.host) and not (
        for_machines and not site.settings.is_loopback
    ):
        raise web.HTTPMisdirectedRequest(
            text=f"This console is not reached as {request.host}. Put that name into [console] "
            "hosts, or into B2JOBS_CONSOLE_HOSTS, if it is yours."
        )
    if for_machines:
        if site.settings.metrics_login and not _has_token(request):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)
    session = site.gate.session(request.cookies.get(COOKIE, ""))
    if session is not None:
        request[SESSION] = session
    if request.method not in ("GET", "HEAD"):
        await _check_form(request, session)
    if session is None and not request.path.startswith(_OPEN):
        if request.method != "GET" or request.path == "/live":
            raise web.HTTPForbidden(text="Your session is over. Log in again.")
        raise web.HTTPSeeOther(f"/login?{_next(request)}")
    return await handler(request)


def _next(request: web.Request) -> str:
    return urlencode({"next": request.path_qs})


def _has_token(request: web.Request) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and request.app[SITE].gate.role(token.strip()) is not None


async def _check_form(request: web.Request, session: Session | None) -> None:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text="This form was sent by another site.")
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise web.HTTPForbidden(text="This form was sent by another site.")
    if request.path == "/login":
        return
    if session is None:
        raise web.HTTPForbidden(text="Your session is over. Log in again.")
    given = (await request.post()).get("csrf", "")
    if not isinstance(given, str) or not hmac.compare_digest(
        given.encode("utf-8", "replace"), session.csrf.encode()
    ):
        raise web.HTTPForbidden(text="This form is not of your session. Load the page again.")
    if not session.may_act and request.path != "/logout":
        raise web.HTTPForbidden(text="You are logged in to look. Acting needs the other token.")


def _wrong(request: web.Request, status: int, message: str, hint: str = "") -> web.Response:
    return page(request, "error.html", http_status=status, code=status, message=message, hint=hint)
