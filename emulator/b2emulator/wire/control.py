"""The admin API, under a path that B2 does not have. `b2emulator.admin` is its client."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from b2emulator.emulator import Emulator
from b2emulator.errors import B2Error, bad_request
from b2emulator.faults.rules import Rule

ADMIN_PATH = "/_admin/"
SETTLING_MILLIS = 50


class Control:
    """Answers admin requests. No authorization: it is for the machine it runs on."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        try:
            body = await request.read()
            if request.method == "GET":
                await self._settle()
            fields = json.loads(body) if body else {}
            if not isinstance(fields, (dict, list)):
                raise bad_request("the body is a JSON object")
            answer = self._answer(request.method, path, dict(parse_qsl(query)), fields)
            return web.json_response(answer)
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)
        except B2Error as error:
            return web.json_response(error.as_json(), status=error.status)

    async def _settle(self) -> None:
        """Let downloads be written down whose last byte their client has already seen."""
        for _ in range(SETTLING_MILLIS):
            if self._emulator.journal.is_settled:
                return
            await asyncio.sleep(0.001)

    def _answer(self, method: str, path: str, query: dict[str, str], fields: Any) -> Any:
        emulator = self._emulator
        match method, path.removeprefix(ADMIN_PATH).rstrip("/").split("/"):
            case "GET", ["journal"]:
                after, call = int(query.get("after", 0)), query.get("call")
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
            case "POST", ["faults"]:
                given = fields if isinstance(fields, list) else [fields]
                rules = [Rule.from_json(rule) for rule in given]
                return {"ids": [emulator.faults.add(rule).id for rule in rules]}
            case "DELETE", ["faults"]:
                emulator.faults.remove()
                return {}
            case "DELETE", ["faults", number]:
                emulator.faults.remove(int(number))
                return {}
            case "POST", ["rate"]:
                rate = fields.get("calls_per_second")
                emulator.rate_limit.set(None if rate is None else float(rate))
                return {}
            case "POST", ["expire-tokens"]:
                emulator.tokens.expire_account_tokens()
                return {}
            case "POST", ["lifecycle"]:
                from b2emulator.lifecycle import apply_rules

                return apply_rules(emulator, fields.get("bucket"), fields.get("now_millis"))
            case "POST", ["reset"]:
                emulator.journal.clear()
                emulator.faults.remove()
                emulator.rate_limit.set(None)
                return {}
        raise B2Error(404, "not_found", f"no such admin call: {method} {path}")
