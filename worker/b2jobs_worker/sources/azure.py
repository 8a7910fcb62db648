"""Blobs of Azure, through azure-storage-blob.

Its errors carry whole requests, perhaps with the signature that opens them; nothing of theirs
is quoted or chained.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobProperties, ContainerClient

from b2jobs.errors import PassingError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.azure_failures import blob_error
from b2jobs_worker.sources.carried import Carried, carried
from b2jobs_worker.sources.failures import millis
from b2jobs_worker.sources.port import Entry, Problem
from b2jobs_worker.sources.roots import Store, StorePlace
from b2jobs_worker.sources.target import said_modified, said_sha1

_Answer = TypeVar("_Answer")
_CHUNK_BYTES = 8 * 1024 * 1024
"""Asked for at a time, and held in memory."""
_FOLDER = "hdi_isfolder"
_SETTINGS = ("cache_control", "content_disposition", "content_encoding", "content_language")


class AzureSource:
    """One request has been answered when this is made; the first `open` reads its body.

    With *resuming* it was a HEAD: the next `open` begins elsewhere. Every later request asks
    for the same ETag, so a replaced blob is noticed at once and nothing needs to be asked at
    the end.
    """

    ranged = True
    is_settled = True
    is_delimited = True

    def __init__(self, place: StorePlace, store: Store, *, resuming: bool = False) -> None:
        self.uri = place.uri
        self._bucket = store.bucket
        self._blob: Any = container(store).get_blob_client(place.target.key)
        self._lock = threading.Lock()
        self._etag = ""
        first = None if resuming else self._download(0)
        self._first: Any = first
        found: BlobProperties = (
            self._asked(self._blob.get_blob_properties) if first is None else first.properties
        )
        if _is_folder(found) or (place.target.is_prefix and not found.size):
            raise failures.source_is_prefix(place.uri)
        self._etag = found.etag or ""
        self.size: int | None = found.size
        said = said_modified(_entries(found))
        self.modified_millis: int | None = millis(found.last_modified) if said is None else said
        self.content_type: str | None = found.content_settings.content_type
        self.identity = identity_of(found)
        self.carried = _carried(found)

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[AzureStream]:
        with self._lock:
            body = self._first if offset == 0 else None
            self._first = None if body is not None else self._first
        if body is None and offset < (self.size or 0):
            body = self._download(offset)
        stream = AzureStream(body, self.uri, self._asked)
        try:
            yield stream
        finally:
            stream.close()

    def check_unchanged(self) -> None:
        self._asked(lambda: self._blob.get_blob_properties(**self._same()))

    def close(self) -> None:
        with self._lock:
            self._first = None

    def _download(self, offset: int) -> Any:
        options = {"offset": offset} if offset else {}
        return self._asked(
            lambda: self._blob.download_blob(**options, **self._same(), decompress=False)
        )

    def _same(self) -> dict[str, Any]:
        if not self._etag:
            return {}
        return {"etag": self._etag, "match_condition": MatchConditions.IfNotModified}

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        return _asked(ask, self.uri, self._bucket)


class AzureStream:
    """The body, asked for in pieces.

    `close` from another thread is noticed behind the next piece: its socket cannot be reached,
    and a connection that says nothing is given up after 60 s.
    """

    def __init__(self, body: Any, uri: str, asked: Callable[[Callable[[], bytes]], bytes]) -> None:
        self._body = body
        self._uri = uri
        self._asked = asked
        self._ended = False

    def read(self, size: int, /) -> bytes:
        body = self._body
        piece = b"" if body is None or self._ended else self._asked(lambda: body.read(size))
        if self._ended:
            raise PassingError("source_interrupted", f"Reading {self._uri} was ended.")
        return piece

    def close(self) -> None:
        self._ended = True
        self._body = None


def list_azure(
    place: StorePlace, store: Store, report: Callable[[Problem], None], after: str
) -> Iterator[Entry]:
    """The blobs below the prefix of *place*, in the store's order, 5,000 a request.

    What stands for a folder is passed over: an empty `folder/`, and the blobs that a
    hierarchical namespace marks. One `folder/` with content is reported, since B2 has no such
    names. Azure cannot begin behind *after*: what is before it is listed and left out.
    """
    prefix = place.target.key
    found = container(store).list_blobs(
        name_starts_with=prefix or None, include=["metadata"], results_per_page=5000
    )
    while (blob := _asked(lambda: next(found, None), place.uri, store.bucket)) is not None:
        name = blob.name[len(prefix) :]
        if _is_folder(blob) or (after and name <= after):
            continue
        if name.endswith("/") or not name:
            if blob.size:
                report(failures.folder_with_content(name, place.uri))
            continue
        entries = _entries(blob)
        said = said_modified(entries)
        modified = millis(blob.last_modified) if said is None else said
        yield Entry(name, blob.size, modified, identity_of(blob), True, said_sha1(entries))


def _asked(ask: Callable[[], _Answer], uri: str, bucket: str) -> _Answer:
    try:
        return ask()
    except (AzureError, OSError, ValueError) as error:
        problem = blob_error(error, uri, bucket)
    raise problem  # outside of the clause, so that Azure's error is not its context


def _is_folder(blob: BlobProperties) -> bool:
    return _entries(blob).get(_FOLDER, "").lower() == "true"


def _entries(blob: BlobProperties) -> dict[str, str]:
    return {name.lower(): text for name, text in (blob.metadata or {}).items()}


def identity_of(blob: BlobProperties) -> str:
    return f"{(blob.etag or '').strip(chr(34))} {blob.size}"


def _carried(blob: BlobProperties) -> Carried:
    settings = {
        name.replace("_", "-"): text
        for name in _SETTINGS
        if (text := getattr(blob.content_settings, name))
    }
    own = {f"own-{name}": text for name, text in (blob.metadata or {}).items()}
    return carried({**settings, **own}, ("own-",))


class _Containers:
    """One client for each container, its credentials and process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[object, ContainerClient] = {}

    def get(self, store: Store) -> ContainerClient:
        key = (store.bucket, store.verify, tuple(sorted(store.credentials.items())))
        with self._lock:
            if key not in self._clients:
                uri = f"azure://{store.bucket}"
                self._clients[key] = _asked(lambda: _client(store), uri, store.bucket)
            return self._clients[key]


def _client(store: Store) -> ContainerClient:
    logging.getLogger("azure").setLevel(logging.WARNING)  # else each request is a line of INFO
    given = store.credentials
    account = given.get("account_name") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    if not account and "endpoint" not in given:
        raise failures.store_misconfigured(f"azure://{store.bucket}", "account_name is missing")
    certificates: dict[str, Any] = {"connection_verify": store.verify} if store.verify else {}
    return ContainerClient(
        given.get("endpoint") or f"https://{account}.blob.core.windows.net",
        store.bucket,
        credential=_credential(given, account),
        max_single_get_size=_CHUNK_BYTES,
        max_chunk_get_size=_CHUNK_BYTES,
        retry_total=0,  # trying again is decided by delivery/
        connection_timeout=10,
        read_timeout=60,
        **certificates,
    )


def _credential(given: Any, account: str) -> Any:
    if "sas_token" in given:
        return AzureSasCredential(given["sas_token"])
    key = given.get("account_key") or os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
    if key:
        return AzureNamedKeyCredential(account, key)
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


_containers = _Containers()


def container(store: Store) -> ContainerClient:
    """The client of *store*'s container in this process."""
    return _containers.get(store)


def _forget_containers() -> None:
    global _containers  # noqa: PLW0603 - two processes must not use one connection
    _containers = _Containers()


os.register_at_fork(after_in_child=_forget_containers)
