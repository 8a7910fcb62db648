"""A file behind https, as the source of an upload."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from urllib3 import BaseHTTPResponse

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs.for_people import shown
from b2jobs.locations import WebFile
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.carried import Carried, carried
from b2jobs_worker.sources.stream import WebStream
from b2jobs_worker.sources.web_answer import Answer
from b2jobs_worker.sources.web_connection import Opening
from b2jobs_worker.sources.web_failures import status_error
from b2jobs_worker.sources.web_request import request

_SKIP_BYTES = 1024 * 1024
_TRIES = 4
"""Of one question, where the ETag of the answers differs and nothing else."""


class WebSource:
    """One request has been answered when this is made; the first `open` reads its body.

    With *resuming* it has asked for one byte, since the next `open` begins elsewhere.

    `ranged` needs a server that says so and names the version of what it sends (a strong
    ETag or Last-Modified); from others, and from one that answers a range wrongly, an offset
    is reached by reading what is before it. Where a server names no version at all,
    `identity` is never the same twice, so that nothing is gone on with that could be
    something else by now.

    The bytes are those on the wire: nothing is asked for compressed, and what is sent
    compressed all the same is kept so.

    Raises:
        JobError: see `web_failures`, `web_request` and `hosts` for the codes.
    """

    def __init__(
        self,
        location: WebFile,
        settings: Settings,
        *,
        resuming: bool = False,
        opening: Opening | None = None,
    ) -> None:
        self._url = location.url
        self.uri = self._shown = shown(location.url)
        self._settings = settings
        self._opening = opening
        self._lock = threading.Lock()
        self._answers = 0
        response, self._version = self._described(resuming)
        self._first = response
        self.size = self._version.size
        self._refuse_size(self.size or 0)
        self.content_type: str | None = self._version.header("Content-Type") or None
        self.modified_millis = self._version.modified_millis
        self.carried: Carried = carried(self._version.headers, own=())
        self.is_delimited = self._version.is_delimited
        validator = self._version.validator
        self.identity = self._version.identity if validator else uuid.uuid4().hex
        self.ranged = bool(validator and self.size is not None and self._version.takes_ranges)

    @property
    def is_settled(self) -> bool:
        """Whether all that was read is known to be one version: `check_unchanged` tells no more."""
        return self._answers <= 1 or self._version.is_strong

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[WebStream]:
        with self._lock:
            response = self._first if offset == 0 else None
            self._first = None if response else self._first
        if response is None:
            response, stream = self._from(offset)
        else:
            stream = self._stream(response, self.size)
        self._answers += 1
        try:
            yield stream
        finally:
            response.close()

    def check_unchanged(self) -> None:
        """Ask for one byte of that version. A refusal tells nothing: the bytes have come."""
        if not self._version.validator:
            return
        try:
            response, version = self._described(resuming=True)
        except JobError as error:
            if error.code == "source_changed":
                raise
            return
        if response is not None:
            response.close()
        if not self._same(version):
            raise self._changed(version)

    def close(self) -> None:
        with self._lock:
            first, self._first = self._first, None
        if first is not None:
            first.close()

    def _described(self, resuming: bool) -> tuple[BaseHTTPResponse | None, Answer]:
        """An answer to read from, where it was asked for all; and what it says of the file."""
        if resuming:
            # No HEAD: signed URLs are good for one method, and some servers refuse it.
            response = self._ask({"Range": "bytes=0-0"}, (200, 206, 416))
            version = Answer.of(response)
            response.close()
            if response.status != 416 and (response.status == 200 or version.is_part(0)):
                return None, version
        response = self._ask({})
        return response, Answer.of(response)

    def _from(self, offset: int) -> tuple[BaseHTTPResponse, WebStream]:
        if offset and self.ranged and self.size is not None and offset < self.size:
            response = self._range(offset)
            if response is not None:
                return response, self._stream(response, self.size - offset)
        response = self._whole(offset)
        try:
            stream = self._stream(response, self.size)
            _skip(stream, offset)
        except BaseException:
            response.close()
            raise
        return response, stream

    def _range(self, offset: int) -> BaseHTTPResponse | None:
        """The bytes from *offset* on of this version; None where the server cannot do that."""
        for _ in range(_TRIES):
            asked = {"Range": f"bytes={offset}-", "If-Range": self._version.validator}
            response = self._ask(asked, (200, 206, 416))
            version = Answer.of(response)
            if response.status == 206 and version.is_part(offset):
                if version.may_be(self._version):
                    return response
                response.close()
                raise self._changed(version)
            response.close()
            if response.status == 200 and not self._same(version):
                if not version.has_other_etag(self._version):
                    raise self._changed(version)
                continue  # another server behind the same name: the next answer may fit again
            self.ranged = False
            return None
        raise self._changed(version)

    def _whole(self, offset: int) -> BaseHTTPResponse:
        response = self._ask({})
        version = Answer.of(response)
        fits = self._same(version) or (offset == 0 and version.has_other_etag(self._version))
        if not fits:
            response.close()
            raise self._changed(version)
        return response

    def _same(self, version: Answer) -> bool:
        """Whether *version* is ours; of an ETag alone that differs, more answers decide."""
        if version == self._version:
            return True
        if not version.has_other_etag(self._version):
            return False
        seen = {self._version.etag, version.etag}
        for _ in range(_TRIES - 1):
            response = self._ask({"Range": "bytes=0-0"}, (200, 206, 416))
            again = Answer.of(response)
            response.close()
            if not again.has_other_etag(self._version) and again != self._version:
                return False
            if again.etag not in seen or again.etag == self._version.etag:
                return True  # it is anew in each answer, or belongs to one of several servers
        return False

    def _changed(self, version: Answer) -> PassingError:
        error = failures.source_changed(self._shown)
        if version.has_other_etag(self._version):
            error.hint = (
                "Its ETag is another one, its length and Last-Modified are not. Where several "
                "servers answer, let all of them give one ETag, or none."
            )
        return error

    def _stream(self, response: BaseHTTPResponse, size: int | None) -> WebStream:
        return WebStream(
            response,
            self._shown,
            size,
            least_rate=self._settings.https_least_bytes_per_second,
            most=self._refuse_size if self.size is None else None,
        )

    def _refuse_size(self, count: int) -> None:
        limit = self._settings.https_most_bytes
        if count > limit:
            raise CallerError(
                "source_too_large",
                f"{self._shown} has more than {limit} bytes.",
                hint="The worker's setting https_most_bytes says how many there may be.",
            )

    def _ask(self, headers: dict[str, str], wanted: tuple[int, ...] = (200,)) -> BaseHTTPResponse:
        response = request(self._url, headers, self._settings, self._opening)
        coding = response.headers.get("Transfer-Encoding", "").strip().lower()
        if response.status in wanted and coding in ("", "chunked", "identity"):
            return response
        response.close()
        if response.status == 416:
            raise failures.source_changed(self._shown)
        if response.status in wanted:
            raise CallerError(
                "source_refused",
                f"{self._shown} is sent with the transfer coding {coding[:40]!r}, which nobody "
                "asked for.",
            )
        raise status_error(response.status, response.headers, self._shown)


def _skip(stream: WebStream, count: int) -> None:
    while count:
        chunk = stream.read(min(count, _SKIP_BYTES))
        if not chunk:
            return
        count -= len(chunk)
