"""A file behind https, as the source of an upload."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from b2jobs.errors import PassingError
from b2jobs.locations import WebFile
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.web_failures import status_error, transport_error
from b2jobs_worker.sources.web_request import request, shown

_SKIP_BYTES = 1024 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d*/(\d+|\*)\Z")


class WebSource:
    """One request has been answered when this is made; the first `open` reads its body.

    `ranged` needs a server that says so and names the version of what it sends (a strong
    ETag or Last-Modified); from others, an offset is reached by reading what is before it.
    Where a server names no version at all, `identity` is never the same twice, so that
    nothing is gone on with that could be something else by now.

    The bytes are those on the wire: nothing is asked for compressed, and what is sent
    compressed all the same is kept so.

    Raises:
        JobError: see `web_failures`, `web_request` and `hosts` for the codes.
    """

    def __init__(self, location: WebFile, settings: Settings) -> None:
        self.uri = location.url
        self._shown = shown(location.url)
        self._settings = settings
        self._lock = threading.Lock()
        first = self._ask({})
        self._first: BaseHTTPResponse | None = first
        self._version = _version(first)
        self._validator = _validator(first)
        self.size: int | None = _length(first)
        self.content_type: str | None = first.headers.get("Content-Type")
        self.modified_millis = _modified_millis(first)
        self.identity = " ".join(self._version) if self._validator else uuid.uuid4().hex
        self.ranged = bool(
            self._validator
            and self.size is not None
            and first.headers.get("Accept-Ranges", "").lower() == "bytes"
        )

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[WebStream]:
        with self._lock:
            response = self._first if offset == 0 else None
            self._first = None if response else self._first
        if response is None:
            response = self._from(offset)
        stream = WebStream(response, self._shown)
        try:
            yield stream
        finally:
            response.close()

    def check_unchanged(self) -> None:
        """Ask for the head of it again. Without a named version there is nothing to compare."""
        if self._validator:
            response = self._ask({})
            response.close()
            self._check_version(response)

    def close(self) -> None:
        with self._lock:
            first, self._first = self._first, None
        if first is not None:
            first.close()

    def _from(self, offset: int) -> BaseHTTPResponse:
        if offset and self.ranged and self.size is not None and offset < self.size:
            response = self._ask({"Range": f"bytes={offset}-", "If-Range": self._validator})
        else:
            response = self._ask({})
        try:
            if response.status == 206:
                self._check_range(response, offset)
            else:
                self._check_version(response)
                _skip(WebStream(response, self._shown), offset)
        except BaseException:
            response.close()
            raise
        return response

    def _ask(self, headers: dict[str, str]) -> BaseHTTPResponse:
        response = request(self.uri, headers, self._settings)
        if response.status not in ((200, 206) if "Range" in headers else (200,)):
            response.close()
            if response.status == 416:
                raise failures.source_changed(self._shown)
            raise status_error(response.status, response.headers, self._shown)
        return response

    def _check_version(self, response: BaseHTTPResponse) -> None:
        if _version(response) != self._version:
            raise failures.source_changed(self._shown)

    def _check_range(self, response: BaseHTTPResponse, offset: int) -> None:
        match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != offset:
            raise PassingError(
                "source_interrupted", f"{self._shown} sent another range than it was asked for."
            )
        etag, modified, _ = _version(response)
        same = (match[2], etag or self._version[0], modified or self._version[1])
        if same != (str(self.size), *self._version[:2]):
            raise failures.source_changed(self._shown)


class WebStream:
    """The body of one answer, as it is on the wire."""

    def __init__(self, response: BaseHTTPResponse, shown: str) -> None:
        self._response = response
        self._shown = shown
        self._ended = False

    def read(self, size: int, /) -> bytes:
        try:
            chunk = self._response.read(size)
        except HTTPError as error:
            raise transport_error(error, self._shown) from error
        if self._ended:  # what a closed socket still gives is no content
            raise PassingError("source_interrupted", f"Reading {self._shown} was ended.")
        return chunk

    def close(self) -> None:
        """End it from any thread: a blocked `read` wakes up with `source_interrupted`."""
        self._ended = True
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError):
            return  # read to its end, or broken already: nobody waits on the socket


def _skip(stream: WebStream, count: int) -> None:
    while count:
        chunk = stream.read(min(count, _SKIP_BYTES))
        if not chunk:
            return
        count -= len(chunk)


def _version(response: BaseHTTPResponse) -> tuple[str, str, str]:
    names = ("ETag", "Last-Modified", "Content-Length")
    etag, modified, length = (response.headers.get(name, "") for name in names)
    return etag, modified, length


def _validator(response: BaseHTTPResponse) -> str:
    """What `If-Range` may carry: a strong ETag, else the time; a weak ETag promises no bytes."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _length(response: BaseHTTPResponse) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _modified_millis(response: BaseHTTPResponse) -> int | None:
    try:
        moment = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
    except ValueError:
        return None
    return int(moment.timestamp() * 1000)
