"""Reading a manifest where it lies: below a root, in another store, or in B2."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import cast

from b2jobs import locations
from b2jobs.locations import B2File
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.sources.port import Source, Stream
from b2jobs_worker.sources.web_connection import Opening
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.ranges import opened

_CHUNK_BYTES = 4 * 1024 * 1024


class _Chunks(io.RawIOBase):
    """A file whose bytes come from *fetch*, called with an offset and the most bytes wanted."""

    def __init__(self, fetch: Callable[[int, int], bytes], offset: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._offset = offset

    def readable(self) -> bool:
        return True

    def readinto(self, target: object) -> int:
        view = memoryview(cast("bytearray", target))
        content = self._fetch(self._offset, len(view))
        view[: len(content)] = content
        self._offset += len(content)
        return len(content)


class OpenFile(io.BufferedReader):
    """The bytes of a file. *identity* differs when they may differ: as `Source.identity`."""

    def __init__(self, raw: io.RawIOBase, identity: str) -> None:
        super().__init__(raw, _CHUNK_BYTES)
        self.identity = identity


def open_file(
    uri: str, account: str, attempt: Attempt, context: Context, offset: int = 0
) -> OpenFile:
    """The bytes of *uri* from *offset* on.

    In B2 they are fetched in ranges of 4 MiB (one class B call each), so that nothing is held
    open while the planner rests.

    Raises:
        JobError: the place or the file is not there, or cannot be read.
    """
    location = locations.parse(uri)
    if isinstance(location, B2File):
        fetch, identity = _fetch_from_b2(location, account, attempt, context)
    else:
        opening = Opening(partial(attempt.permit.place, is_written=False))
        with attempt.on_interrupt(opening.close):
            source = context.open_source(location, resuming=offset > 0, opening=opening)
        fetch, identity = _fetch_from(source, offset), source.identity

    def checked(at: int, most: int) -> bytes:
        attempt.checkpoint()  # one line may take many chunks
        return fetch(at, most)

    return OpenFile(_Chunks(checked, offset), identity)


def _fetch_from(source: Source, offset: int) -> Callable[[int, int], bytes]:
    # Closed when the plan that reads is dropped: a planner may keep it open between steps.
    context = source.open(offset)
    streams: list[Stream] = []

    def fetch(at: int, most: int) -> bytes:
        del at  # read in order
        if not streams:
            streams.append(context.__enter__())
        return streams[0].read(most)

    return fetch


def _fetch_from_b2(
    location: B2File, account: str, attempt: Attempt, context: Context
) -> tuple[Callable[[int, int], bytes], str]:
    client = context.client(account, attempt)
    bucket = client.bucket(location.bucket)
    version = client.latest(bucket, location.name)
    if version is None:
        raise file_not_found(str(location))
    url = str(client.account().session.get_download_url_by_id(version.file_id))

    def fetch(at: int, most: int) -> bytes:
        if at >= version.size:
            return b""
        last = min(at + most, version.size) - 1
        content = bytearray(last - at + 1)
        view = memoryview(content)
        got = 0
        with opened(client, url, at, last) as arriving:
            while got < len(content) and (count := arriving.readinto(view[got:])):
                got += count
        return bytes(content[:got])

    return fetch, version.file_id
