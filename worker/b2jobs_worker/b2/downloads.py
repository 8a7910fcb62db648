"""Calls that bring bytes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType

import requests

from b2jobs.errors import JobError
from b2jobs_worker.b2 import errors, retry, versions
from b2jobs_worker.b2.calling import Interruptible
from b2jobs_worker.b2.calls import Calls
from b2jobs_worker.b2.governor import Governor
from b2jobs_worker.b2.http import Carried, Response
from b2jobs_worker.b2.versions import FileVersion

_OPEN_END = 2**62
"""b2sdk takes no range without an end; B2 cuts this one at the file's."""


class Arriving:
    """The body of a download while it arrives, and what its headers said."""

    def __init__(
        self, response: Response, attempt: Interruptible, count: Callable[[int], object]
    ) -> None:
        self.version: FileVersion = versions.from_headers(response.fields)
        self.is_partial = response.status_code == 206
        self.received = 0
        self._response = response
        self._attempt = attempt
        self._count = count

    def readinto(self, target: memoryview) -> int:
        """Some bytes into *target*; 0 at the end, which may come too early: compare sizes.

        Raises:
            PassingError: `connection_broken`, `timeout`.
            Interrupted: the attempt has to end.
        """
        try:
            count = self._response.readinto(target)
        except requests.RequestException as error:
            self._attempt.checkpoint()
            code = "timeout" if isinstance(error, requests.Timeout) else "connection_broken"
            raise errors.broken(code, str(error)) from error
        except Carried as carried:
            raise carried.take() from None
        self.received += count
        self._count(count)
        return count


class Fetch:
    """One request for bytes, which is made when this is entered and dropped when it is left."""

    __slots__ = (
        "_account",
        "_arriving",
        "_calls",
        "_governor",
        "_part",
        "_range",
        "_response",
        "_url",
    )

    def __init__(
        self, calls: DownloadCalls, governor: Governor, url: str, range_: tuple[int, int] | None
    ) -> None:
        self._calls = calls
        self._governor = governor
        self._url = url
        self._range = range_
        self._part: AbstractContextManager[object] | None = None
        self._response: Response | None = None
        self._arriving: Arriving | None = None

    def __enter__(self) -> Arriving:
        attempt = self._calls.attempt
        account = self._account = self._calls.require("readFiles")
        since = attempt.trace.clock()
        self._governor.admit(account.name, attempt.checkpoint)
        account.concurrency.enter(attempt.checkpoint)
        attempt.trace.waited(since, "pace")
        try:
            self._response = self._calls.once(
                account, "download_file", self._request, ("readFiles",)
            )
            if attempt.trace.records:
                self._part = attempt.trace.part("b2.receive")
                self._part.__enter__()
            count = partial(self._governor.moved, account.name, checkpoint=attempt.checkpoint)
            self._arriving = Arriving(self._response, attempt, count)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self._arriving

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        overloaded = isinstance(error, JobError) and error.code in retry.OVERLOADED
        received = self._arriving.received if self._arriving is not None else 0
        try:
            if self._part is not None:
                self._part.__exit__(kind, error, traceback)
            if self._response is not None:
                self._response.close()
        finally:
            self._account.concurrency.leave(received, overloaded=overloaded)

    def _request(self) -> Response:
        session, key = self._account.session, self._calls.customer_key
        if key is None:
            headers = {} if self._range is None else {"Range": "bytes={}-{}".format(*self._range)}
            return session.download_plain(self._url, headers)
        with session.download_file_from_url(
            self._url, range_=self._range, encryption=key.setting()
        ) as response:
            found: Response = response
        return found


class DownloadCalls(Calls):
    """Receiving; see `Calls` for what every call does."""

    def download(self, url: str, first: int | None = None, last: int | None = None) -> Fetch:
        """Bytes *first* to *last* (inclusive) of the file behind *url*, as they arrive.

        Read with the client's customer key, where it has one.

        Tried once, when the context is entered: what has arrived is the caller's, and so is
        going on behind it. Leaving the context before the end drops the connection.

        Raises:
            CallerError: `file_not_found`, `range_not_satisfiable`.
        """
        range_ = None if first is None else (first, _OPEN_END if last is None else last)
        return Fetch(self, self._accounts.governor, url, range_)
