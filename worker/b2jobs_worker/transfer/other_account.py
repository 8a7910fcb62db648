"""A file of another B2 account as what is uploaded: for copies between accounts.

Where one key sees both sides B2 copies by itself. Else the bytes pass through the worker:
this source is read from one account, and sent into the other as any source is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs.locations import B2File
from b2jobs.metadata import MODIFIED_MILLIS
from b2jobs.requests import Copy
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2 import retry
from b2jobs_worker.b2.accounts import Account
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.downloads import Arriving
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.carried import Carried
from b2jobs_worker.transfer import target
from b2jobs_worker.transfer.context import Context


def copying_account(request: Copy, attempt: Attempt, context: Context) -> str | None:
    """The account whose key may read the source and write the copy; None where none may both.

    One of the two that *request* names. Costs no call, but the first authorisation of each.
    """
    if request.source_account in (None, request.account):
        return request.account
    other = str(request.source_account)
    ends = [context.client(name, attempt).account() for name in (request.account, other)]
    if ends[0].session.info.get_account_id() != ends[1].session.info.get_account_id():
        return None
    if ends[0].credential.realm != ends[1].credential.realm:
        return None
    needed = {"readFiles", "writeFiles", *target.capabilities_for(request.if_exists)}
    for account in ends:
        if needed <= account.capabilities and _reaches(account, request):
            return account.name
    return None


def _reaches(account: Account, request: Copy) -> bool:
    source, destination = request.source_location, request.destination_location
    allowed = account.allowed_buckets
    if not isinstance(source, B2File):
        # Which bucket and name the version has, only B2 knows.
        return allowed is None and not account.name_prefix
    names = {bucket.name.lower() for bucket in allowed or ()}
    return all(
        (allowed is None or end.bucket.lower() in names)
        and end.name.startswith(account.name_prefix or "")
        for end in (source, destination)
    )


class OtherAccountSource:
    """One version of a file, read with its own account's key. Implements `Source`, `Remote` and
    `Digested`.

    Its SHA-1, where B2 has one, is compared with the bytes before they are stored.
    """

    ranged = True
    is_settled = True
    is_delimited = True

    def __init__(self, client: B2Client, version: FileVersion, uri: str) -> None:
        self.uri = uri
        self.size: int | None = version.size
        self.modified_millis = version.modified_millis
        self.identity = version.file_id
        self.content_type: str | None = version.content_type or None
        self.sha1 = version.sha1
        info = {name: text for name, text in version.info.items() if name != MODIFIED_MILLIS}
        self.carried = Carried(info)
        self._client = client
        self._url = str(client.account().session.get_download_url_by_id(version.file_id))

    def differs(self, sha1: str) -> JobError:
        """The error for bytes with another SHA-1 than B2 says: they are read again."""
        return PassingError(
            "source_changed",
            f"What arrived of {self.uri} has the SHA-1 {sha1}; B2 says {self.sha1}.",
        )

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[_Stream]:
        stream = _Stream(self._client, self._url, offset, self.size or 0)
        try:
            yield stream
        finally:
            stream.close()

    def check_unchanged(self) -> None:
        """A version never changes."""

    def close(self) -> None:
        """Nothing is held between two readings."""


class _Stream:
    """The bytes from *at* on; a connection that breaks is opened again there."""

    def __init__(self, client: B2Client, url: str, at: int, size: int) -> None:
        self._client = client
        self._url = url
        self._at = at
        self._size = size
        self._connection = ExitStack()
        self._body: Arriving | None = None
        self._is_closed = False

    def read(self, count: int, /) -> bytes:
        buffer = memoryview(bytearray(max(0, min(count, self._size - self._at))))
        tries = 0
        while buffer:
            tries += 1
            try:
                got = self._opened().readinto(buffer)
                if got:
                    self._at += got
                    return bytes(buffer[:got])
                raise PassingError("connection_broken", "B2 sent fewer bytes than announced.")
            except JobError as error:
                self._connection.close()
                self._body = None
                pause = None if self._is_closed else retry.pause_before_next(error, tries)
                if pause is None:
                    raise
                self._client.sleep(pause)
        return b""

    def _opened(self) -> Arriving:
        if self._body is None:
            fetched = self._client.download(self._url, self._at, self._size - 1)
            self._body = self._connection.enter_context(fetched)
        return self._body

    def close(self) -> None:
        self._is_closed = True
        self._connection.close()
        self._body = None


def never_right(uri: str, said: str | None) -> CallerError:
    return CallerError(
        "checksum_differs",
        f"{uri} should have the SHA-1 {said}; the bytes B2 has for it have another, each time.",
        hint="Either its uploader gave a wrong digest, or it was damaged before B2 had it. "
        "Download it with verify=False and upload that.",
    )
