"""One request in, one answer out: route, journal, faults, call, JSON."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
import sqlite3
import time
from typing import Any

from aiohttp import web

from b2emulator.calls.all import CALLS
from b2emulator.calls.call import Call
from b2emulator.calls.downloads import DownloadCall, by_id, by_name
from b2emulator.calls.params import MAX_INTEGER, Params, is_integer
from b2emulator.calls.uploads import UploadCall, upload_file, upload_part
from b2emulator.emulator import Emulator
from b2emulator.errors import B2Error, bad_request, not_found
from b2emulator.faults.effects import ConnectionCut, Effects
from b2emulator.faults.testmode import test_mode_error
from b2emulator.journal import Entry
from b2emulator.names import percent_decode
from b2emulator.wire.answers import SUCCESS_HEADERS, error_response
from b2emulator.wire.bodies import cut_connection, request_body, send_download
from b2emulator.wire.control import ADMIN_PATH, Control, check_is_local
from b2emulator.wire.documents import parse_json, read_body
from b2emulator.wire.page import page
from b2emulator.wire.routes import (
    DOWNLOAD_BY_ID,
    DOWNLOAD_BY_NAME,
    UPLOAD_FILE,
    UPLOAD_PART,
    Route,
    route,
)
from b2emulator.wire.trouble import Complaints, as_b2_error

log = logging.getLogger("b2emulator")


class Handler:
    """The function aiohttp calls for each request."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._control = Control(emulator)
        self._complaints = Complaints()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path
        if path.startswith(ADMIN_PATH) or path in ("/", "/?"):
            return await self._own(request, path)
        return await self._b2(request, path)

    async def _own(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """What B2 does not have: the admin API and the page. For this machine only."""
        try:
            check_is_local(request)
            if path.startswith(ADMIN_PATH):
                return await self._control(request)
            if request.method not in ("GET", "HEAD"):
                raise B2Error(405, "method_not_allowed", "the page is GET")
            return web.Response(text=page(self.emulator), content_type="text/html")
        except B2Error as error:
            return error_response(error)
        except (OSError, sqlite3.Error) as error:
            return error_response(self._trouble(error))

    def _trouble(self, error: OSError | sqlite3.Error) -> B2Error:
        """The answer to what this machine cannot do; a client that has gone is no trouble."""
        if isinstance(error, ConnectionError):
            raise ConnectionResetError from None
        answer = as_b2_error(error)
        self._complaints.say(answer.message)
        return answer

    async def _b2(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        started = time.perf_counter()
        entry = self.emulator.journal.begin("unknown")
        entry.method = request.method
        entry.connection = id(request.protocol) & 0xFFFFFFFF
        response: web.StreamResponse | None = None
        try:
            response = await self._answer(request, path, entry)
            entry.status = response.status
            return response
        except ConnectionCut as cut:
            cut_connection(request, reset=cut.reset)
            raise ConnectionResetError from None
        except B2Error as error:
            return self._refuse(request, entry, error)
        except web.RequestPayloadError:
            raise ConnectionResetError from None
        except (OSError, sqlite3.Error) as error:
            return self._refuse(request, entry, self._trouble(error))
        except Exception:
            log.exception("%s failed", entry.call)
            bug = B2Error(500, "internal_error", "the emulator has a bug: see its log")
            return self._refuse(request, entry, bug)
        finally:
            self.emulator.journal.end(entry, time.perf_counter() - started)

    def _refuse(self, request: web.BaseRequest, entry: Entry, error: B2Error) -> web.StreamResponse:
        """An error as the answer; where one has begun, all that is left is to cut it."""
        if request.writer.output_size > 0:
            entry.status, entry.code = 0, None
            cut_connection(request, reset=True)
            raise ConnectionResetError
        entry.status, entry.code = error.status, error.code
        return error_response(error)

    async def _answer(
        self, request: web.BaseRequest, path: str, entry: Entry
    ) -> web.StreamResponse:
        _check_is_utf8(request)
        asked = route(path)
        entry.call, entry.api_version = asked.call, asked.api_version
        params: Params | None = None
        if asked.call in (UPLOAD_FILE, UPLOAD_PART):
            _note_upload(request, asked, entry)
        elif asked.call == DOWNLOAD_BY_NAME:
            entry.bucket, entry.name = asked.target, asked.name
        elif asked.call != DOWNLOAD_BY_ID or request.method == "POST":
            if asked.call != DOWNLOAD_BY_ID and asked.call not in CALLS:
                raise not_found(f"no such call: {asked.call}")
            params = await _params(request, asked, entry)
        effects = self.emulator.faults.effects(entry)
        if effects is not None and effects.delay_seconds:
            await asyncio.sleep(effects.delay_seconds)
        self.emulator.rate_limit.take()
        if asked.call in (UPLOAD_FILE, UPLOAD_PART):
            return await self._upload(request, asked, entry, effects)
        if effects is not None:
            if effects.reset_request_at is not None:
                raise ConnectionCut
            if effects.error is not None:
                raise effects.error
        if asked.call in (DOWNLOAD_BY_NAME, DOWNLOAD_BY_ID):
            return await self._download(request, asked, entry, params, effects)
        return await self._json(request, asked, entry, params or Params({}), effects)

    async def _json(
        self,
        request: web.BaseRequest,
        asked: Route,
        entry: Entry,
        params: Params,
        effects: Effects | None,
    ) -> web.StreamResponse:
        if error := test_mode_error(request.headers.get("X-Bz-Test-Mode"), asked.call):
            raise error
        call = Call(
            self.emulator,
            asked.api_version,
            self.base_url(request),
            request.headers.get("Authorization"),
            params,
            entry,
        )
        answer = CALLS[asked.call](call)
        if inspect.isawaitable(answer):
            answer = await answer
        return _done(answer, entry, effects)

    async def _upload(
        self, request: web.BaseRequest, asked: Route, entry: Entry, effects: Effects | None
    ) -> web.StreamResponse:
        if request.method != "POST":
            raise B2Error(405, "method_not_allowed", "uploads are POST")
        if error := test_mode_error(request.headers.get("X-Bz-Test-Mode"), asked.call):
            effects = effects or Effects()
            effects.error = error
        headers = {
            name.decode("latin-1").lower(): value.decode("utf-8", "surrogateescape")
            for name, value in request.raw_headers
        }
        chunked = "transfer-encoding" in headers
        call = UploadCall(
            self.emulator,
            asked.api_version,
            asked.target,
            headers.get("authorization"),
            headers,
            None if chunked else request.content_length,
            request_body(request, entry, effects),
            entry,
            effects,
        )
        upload = upload_file if asked.call == UPLOAD_FILE else upload_part
        answer = await upload(call)
        return _done(answer, entry, effects, raise_errors=False)

    async def _download(
        self,
        request: web.BaseRequest,
        asked: Route,
        entry: Entry,
        params: Params | None,
        effects: Effects | None,
    ) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            raise B2Error(405, "method_not_allowed", "downloads are GET or HEAD")
        query = asked.parameters()
        if params is not None:
            query |= {key: str(value) for key, value in params.fields.items()}
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = DownloadCall(self.emulator, headers.get("authorization"), query, headers, entry)
        if asked.call == DOWNLOAD_BY_ID:
            download = by_id(call)
        else:
            download = by_name(call, asked.target, asked.name)
        spans = self.emulator.reader.spans(download.content)
        if effects is not None and effects.lost_response:
            raise ConnectionCut
        entry.status = download.status
        self.emulator.journal.sending(entry)
        return await send_download(request, download, spans, entry, effects)

    def base_url(self, request: web.BaseRequest) -> str:
        """The realm as this client sees it, so that it also works behind a port mapping."""
        public = self.emulator.settings.public_url
        return public or f"{request.scheme}://{request.host}"


def _note_upload(request: web.BaseRequest, asked: Route, entry: Entry) -> None:
    """Fill in what rules for faults may ask for, before the call is looked at."""
    if asked.call == UPLOAD_PART:
        entry.file_id = asked.target
        number = request.headers.get("X-Bz-Part-Number", "")
        entry.part = int(number) if re.fullmatch("[0-9]{1,5}", number) else None
    else:
        entry.name = percent_decode(request.headers.get("X-Bz-File-Name", ""))


async def _params(request: web.BaseRequest, asked: Route, entry: Entry) -> Params:
    """The fields of a call: JSON in a POST, the query of a GET."""
    if request.method in ("GET", "HEAD"):
        fields: Any = asked.parameters()
    elif request.method == "POST":
        fields = parse_json(await read_body(request, entry))
    else:
        raise B2Error(405, "method_not_allowed", f"{request.method} is not for {asked.call}")
    if not isinstance(fields, dict):
        raise bad_request("the request body is not a JSON object", "bad_json")
    for field, attribute in (("fileName", "name"), ("fileId", "file_id")):
        if isinstance(fields.get(field), str):
            setattr(entry, attribute, fields[field])
    if is_integer(fields.get("partNumber"), 0, MAX_INTEGER):
        entry.part = fields["partNumber"]
    return Params(fields)


def _done(
    answer: Any, entry: Entry, effects: Effects | None, *, raise_errors: bool = True
) -> web.Response:
    """The answer of a call that was done, unless a fault hides it."""
    if effects is not None:
        if effects.lost_response or effects.reset_response_at is not None:
            raise ConnectionCut
        if effects.truncate_at is not None:
            raise ConnectionCut(reset=False)
        if raise_errors and effects.error_after_call is not None:
            raise effects.error_after_call
    body = json.dumps(answer).encode()
    entry.bytes_out = len(body)
    return web.Response(body=body, headers=SUCCESS_HEADERS)


def _check_is_utf8(request: web.BaseRequest) -> None:
    """Raises bad_request for a path or a header that is not; B2 knows no other encoding."""
    try:
        request.raw_path.encode()
        b"\n".join(value for _, value in request.raw_headers).decode()
    except UnicodeError:
        raise bad_request("the path and the headers of a request must be UTF-8") from None
