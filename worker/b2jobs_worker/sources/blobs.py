"""Objects in Google Cloud Storage and Azure Blob Storage, through obstore.

obstore reads the same keys everywhere, so some that these stores allow are refused here:
see `unsupported`. Its errors carry whole requests, in Azure's case with the signature that
opens them; nothing of theirs is quoted or chained.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions as foreign
from obstore.store import AzureStore, GCSStore

from b2jobs.errors import CallerError, JobError, OperatorError, PassingError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.port import Entry, Problem
from b2jobs_worker.sources.roots import StorePlace

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta

_Store = Any
_Answer = TypeVar("_Answer")
_CHUNK_BYTES = 1024 * 1024
_KEYS = {
    "gs": {
        "service_account_key": "service_account_key",
        "service_account_path": "service_account",
        "endpoint": "base_url",
    },
    "azure": {
        "account_name": "account_name",
        "account_key": "account_key",
        "sas_token": "sas_key",
        "endpoint": "endpoint",
    },
}


class BlobSource:
    """One request has been answered when this is made; the first `open` reads its body.

    Every later read asks for the same ETag, so a replaced object is noticed at once.
    """

    ranged = True

    def __init__(self, place: StorePlace, credentials: dict[str, str]) -> None:
        self.uri = place.uri
        self._key = place.target.key
        if unsupported(self._key):
            raise CallerError(
                "source_name_unsupported",
                f"The key of {place.uri} cannot be read: {unsupported(self._key)}.",
                hint="Copy the object to a plainer key first.",
            )
        self._store = _stores.get(place, credentials)
        self._lock = threading.Lock()
        first = self._get({})
        self._first: GetResult | None = first
        self._etag = first.meta["e_tag"]
        self.size: int | None = first.meta["size"]
        self.modified_millis: int | None = _millis(first.meta)
        self.content_type: str | None = first.attributes.get("Content-Type")
        self.identity = _identity(first.meta)

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[BlobStream]:
        with self._lock:
            answer = self._first if offset == 0 else None
            self._first = None if answer is not None else self._first
        if self.size is not None and offset >= self.size:
            stream = BlobStream(iter(()), self.uri)
        else:
            answer = answer or self._get({"range": {"offset": offset}} if offset else {})
            stream = BlobStream(iter(answer.stream(min_chunk_size=_CHUNK_BYTES)), self.uri)
        try:
            yield stream
        finally:
            stream.close()

    def check_unchanged(self) -> None:
        meta = _asked(lambda: obstore.head(self._store, self._key), self.uri)
        if _identity(meta) != self.identity:
            raise failures.source_changed(self.uri)

    def close(self) -> None:
        with self._lock:
            self._first = None

    def _get(self, options: GetOptions) -> GetResult:
        if etag := getattr(self, "_etag", None):
            options = {**options, "if_match": etag}
        return _asked(lambda: obstore.get(self._store, self._key, options=options), self.uri)


class BlobStream:
    """The body of one answer.

    `close` from another thread is noticed at the next chunk: obstore cannot be woken, and a
    connection that says nothing is given up after 60 s.
    """

    def __init__(self, chunks: Iterator[Any], uri: str) -> None:
        self._chunks = chunks
        self._uri = uri
        self._rest = memoryview(b"")
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._rest and not self._ended:
            chunk = _asked(lambda: next(self._chunks, None), self._uri)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        if self._ended:
            raise PassingError("source_interrupted", f"Reading {self._uri} was ended.")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)

    def close(self) -> None:
        self._ended = True
        self._chunks = iter(())


def list_blobs(
    place: StorePlace,
    credentials: dict[str, str],
    report: Callable[[Problem], None],
    after: str,
) -> Iterator[Entry]:
    """The objects below the prefix of *place*, in the store's order.

    A key that obstore cannot name ends the listing with `store_listing_failed`.
    """
    del report
    prefix = place.target.key
    store = _stores.get(place, credentials)
    offset = prefix + after if after else None
    stream = obstore.list(store, prefix or None, offset=offset, chunk_size=1000)
    pages = iter(stream)
    while page := _asked(lambda: next(pages, None), place.uri, listing=True):
        for meta in page:
            if meta["path"].startswith(prefix) and (name := meta["path"][len(prefix) :]):
                yield Entry(name, meta["size"], _millis(meta), _identity(meta))


def unsupported(key: str) -> str:
    """Why obstore would read another object than *key*, or none; empty when it reads *key*."""
    if any(segment in ("", ".", "..") for segment in key.split("/")):
        return "it begins or ends with '/', or has '//', '.' or '..' between slashes"
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        return "it has a control character"
    return ""


def _asked(ask: Callable[[], _Answer], uri: str, *, listing: bool = False) -> _Answer:
    problem: JobError
    try:
        return ask()
    except (foreign.BaseError, OSError, ValueError) as error:
        problem = _listing_failed(uri) if listing and _is_name(error) else _error(error, uri)
    raise problem  # outside of the clause, so that obstore's error is not its context


def _is_name(error: Exception) -> bool:
    return isinstance(error, foreign.InvalidPathError | ValueError)


def _listing_failed(uri: str) -> JobError:
    return OperatorError(
        "store_listing_failed",
        f"{uri} holds a key that cannot be named, such as a//b.",
        hint="Rename it, or name the objects one by one in a manifest.",
    )


def _error(error: Exception, uri: str) -> JobError:
    match error:
        case foreign.NotFoundError() | FileNotFoundError():
            return failures.source_missing(uri)
        case foreign.PreconditionError() | foreign.NotModifiedError():
            return failures.source_changed(uri)
        case foreign.PermissionDeniedError() | foreign.UnauthenticatedError() | PermissionError():
            return OperatorError(
                "source_forbidden",
                f"The store refuses to show {uri}.",
                hint='Check the key\'s rights and its entry under "stores" in the secrets file.',
            )
        case foreign.UnknownConfigurationKeyError() | foreign.NotSupportedError():
            return _misconfigured(uri)
        case foreign.InvalidPathError() | ValueError():
            return CallerError("source_name_unsupported", f"The key of {uri} cannot be read.")
        case _:
            return PassingError("source_unavailable", f"The store does not serve {uri} now.")


def _misconfigured(uri: str) -> OperatorError:
    return OperatorError(
        "store_misconfigured",
        f"{uri} cannot be read with this configuration.",
        hint='Check its entry under "stores" in the secrets file.',
    )


def _identity(meta: ObjectMeta) -> str:
    return f"{meta['e_tag'] or _millis(meta)} {meta['size']}"


def _millis(meta: ObjectMeta) -> int:
    return int(meta["last_modified"].timestamp() * 1000)


class _Stores:
    """One store object for each bucket, its credentials and process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stores: dict[object, _Store] = {}

    def get(self, place: StorePlace, credentials: dict[str, str]) -> _Store:
        target = place.target
        key = (target.scheme, target.bucket, tuple(sorted(credentials.items())))
        with self._lock:
            if key not in self._stores:
                self._stores[key] = _store(place, credentials)
            return self._stores[key]


def _store(place: StorePlace, credentials: dict[str, str]) -> _Store:
    target = place.target
    config: Any = {_KEYS[target.scheme][key]: value for key, value in credentials.items()}
    make: Any = GCSStore if target.scheme == "gs" else AzureStore
    try:
        return make(
            target.bucket,
            config=config,
            client_options={
                "allow_http": credentials.get("endpoint", "").startswith("http://"),
                "connect_timeout": "10s",
                "read_timeout": "60s",
                "timeout": "1day",
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=60)},
        )
    except (foreign.BaseError, OSError, ValueError):
        problem = _misconfigured(place.uri)
    raise problem


_stores = _Stores()


def _forget_stores() -> None:
    global _stores  # noqa: PLW0603 - two processes must not use one connection
    _stores = _Stores()


os.register_at_fork(after_in_child=_forget_stores)
