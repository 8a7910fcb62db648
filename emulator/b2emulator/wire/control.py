"""The admin API, under a path that B2 does not have. `b2emulator.admin` is its client."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from b2emulator.calls.params import MAX_INTEGER, Params, digits
from b2emulator.emulator import Emulator
from b2emulator.errors import B2Error, access_denied, bad_request
from b2emulator.faults.rules import Rule
from b2emulator.file_ids import MAX_MILLIS
from b2emulator.wire.documents import parse_json, read_body

ADMIN_PATH = "/_admin/"
SETTLING_MILLIS = 50


def check_is_local(request: web.BaseRequest) -> None:
    """Raises access_denied unless the page that asks, and the name it asks by, are local.

    The admin API has no password. A web page somewhere else can make its reader's
    browser call this address, by name or by a name of its own that leads here.
    """
    origin = request.headers.get("Origin")
    if not _is_loopback(request.headers.get("Host", "")) or (
        origin is not None and not _is_loopback(origin.partition("://")[2])
    ):
        raise access_denied("the page and the admin API answer only to 127.0.0.1 and localhost")


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(f"//{address}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Control:
    """Answers admin requests. No authorization: it is for the machine it runs on."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        try:
            fields = parse_json(await read_body(request))
            if request.method == "GET":
                await self._settle()
            given = fields if isinstance(fields, list) else [fields]
            if not all(isinstance(rule, dict) for rule in given):
                raise bad_request("the body is a JSON object")
            if path.removeprefix(ADMIN_PATH).rstrip("/") == "faults" and request.method == "POST":
                rules = [Rule.from_json(rule) for rule in given]
                return web.json_response(
                    {"ids": [self._emulator.faults.add(rule).id for rule in rules]}
                )
            if isinstance(fields, list):
                raise bad_request("the body is a JSON object")
            params = Params(fields)
            return web.json_response(
                self._answer(request.method, path, dict(parse_qsl(query)), params)
            )
        except B2Error as error:
            return web.json_response(error.as_json(), status=error.status)

    async def _settle(self) -> None:
        """Let downloads be written down whose last byte their client has already seen."""
        for _ in range(SETTLING_MILLIS):
            if self._emulator.journal.is_settled:
                return
            await asyncio.sleep(0.001)

    def _answer(self, method: str, path: str, query: dict[str, str], params: Params) -> Any:
        emulator = self._emulator
        match method, path.removeprefix(ADMIN_PATH).rstrip("/").split("/"):
            case "GET", ["journal"]:
                after = digits(query.get("after", "0"), "after", MAX_INTEGER)
                call = query.get("call")
                return {"entries": [e.as_json() for e in emulator.journal.entries(after, call)]}
            case "GET", ["counters"]:
                return emulator.journal.counters()
            case "GET", ["transferred"]:
                return emulator.journal.transferred()
            case "POST", ["journal", "clear"]:
                emulator.journal.clear()
                return {}
            case "GET", ["faults"]:
                return {
                    "faults": emulator.faults.as_json(),
                    "rate": emulator.rate_limit.calls_per_second,
                }
            case "DELETE", ["faults"]:
                emulator.faults.remove()
                return {}
            case "DELETE", ["faults", number]:
                emulator.faults.remove(digits(number, "the id of a fault", MAX_INTEGER))
                return {}
            case "POST", ["rate"]:
                rate = params.fields.get("calls_per_second")
                is_rate = isinstance(rate, (int, float)) and not isinstance(rate, bool)
                if rate is not None and not (is_rate and 0 < rate <= MAX_INTEGER):
                    raise bad_request("calls_per_second is a number above 0, or null")
                emulator.rate_limit.set(None if rate is None else float(rate))
                return {}
            case "POST", ["expire-tokens"]:
                emulator.tokens.expire_account_tokens()
                return {}
            case "POST", ["lifecycle"]:
                from b2emulator.lifecycle import apply_rules

                now = None
                if params.has("now_millis"):
                    now = params.number("now_millis", None, 0, MAX_MILLIS)
                return apply_rules(emulator, params.optional_text("bucket"), now)
            case "POST", ["reset"]:
                emulator.journal.clear()
                emulator.faults.remove()
                emulator.rate_limit.set(None)
                return {}
        raise B2Error(404, "not_found", f"no such admin call: {method} {path}")
