"""Calls that bring bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import requests

from b2jobs.errors import JobError
from b2jobs_worker.b2 import errors, retry, versions
from b2jobs_worker.b2.calling import Interruptible
from b2jobs_worker.b2.calls import Calls
from b2jobs_worker.b2.http import Carried, Response
from b2jobs_worker.b2.versions import FileVersion

_OPEN_END = 2**62
"""b2sdk takes no range without an end; B2 cuts this one at the file's."""


class Arriving:
    """The body of a download while it arrives, and what its headers said."""

    def __init__(
        self, response: Response, attempt: Interruptible, count: Callable[[int], None]
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


class DownloadCalls(Calls):
    """Receiving; see `Calls` for what every call does."""

    @contextlib.contextmanager
    def download(
        self, url: str, first: int | None = None, last: int | None = None
    ) -> Iterator[Arriving]:
        """Bytes *first* to *last* (inclusive) of the file behind *url*, as they arrive.

        Read with the client's customer key, where it has one.

        Tried once: what has arrived is the caller's, and so is going on behind it. Leaving
        the context before the end drops the connection.

        Raises:
            CallerError: `file_not_found`, `range_not_satisfiable`.
        """
        account = self.require("readFiles")
        range_ = None if first is None else (first, _OPEN_END if last is None else last)

        def request() -> Response:
            if self.customer_key is None:
                headers = {} if range_ is None else {"Range": "bytes={}-{}".format(*range_)}
                return account.session.download_plain(url, headers)
            with account.session.download_file_from_url(
                url, range_=range_, encryption=self.customer_key.setting()
            ) as response:
                found: Response = response
            return found

        def count(received: int) -> None:
            governor.moved(account.name, received, checkpoint=self.attempt.checkpoint)

        governor = self._accounts.governor
        since = self.attempt.trace.clock()
        governor.admit(account.name, self.attempt.checkpoint)
        account.concurrency.enter(self.attempt.checkpoint)
        self.attempt.trace.waited(since, "pace")
        overloaded = False
        arriving: Arriving | None = None
        try:
            response = self.once(account, "download_file", request, ("readFiles",))
            with contextlib.closing(response), self.attempt.trace.part("b2.receive"):
                arriving = Arriving(response, self.attempt, count)
                yield arriving
        except JobError as error:
            overloaded = error.code in retry.OVERLOADED
            raise
        finally:
            received = arriving.received if arriving else 0
            account.concurrency.leave(received, overloaded=overloaded)
