"""Objects behind an S3 interface, through boto3: S3 itself, what speaks like it, and Google's.

Keys are used exactly as they are, also `a//b` and `/a`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from b2jobs.errors import JobError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.carried import carried
from b2jobs_worker.sources.failures import millis
from b2jobs_worker.sources.port import Entry, Problem
from b2jobs_worker.sources.roots import Store, StorePlace
from b2jobs_worker.sources.s3_clients import clients
from b2jobs_worker.sources.s3_failures import store_error
from b2jobs_worker.sources.stream import WebStream
from b2jobs_worker.sources.target import said_modified

_METADATA = ("x-amz-meta-", "x-goog-meta-")


def own_entries(headers: Mapping[str, str]) -> dict[str, str]:
    """An object's own entries, from the headers of an answer."""
    return {
        name.lower().removeprefix(prefix): text
        for name, text in headers.items()
        for prefix in _METADATA
        if name.lower().startswith(prefix)
    }


class S3Source:
    """One request has been answered when this is made; the first `open` reads its body.

    With *resuming* it was a HEAD: the next `open` begins elsewhere. Every later read asks for
    the same ETag, so a replaced object is noticed at once and nothing needs to be asked at
    the end.
    """

    ranged = True
    is_settled = True
    is_delimited = True

    def __init__(self, place: StorePlace, store: Store, *, resuming: bool = False) -> None:
        self.uri = place.uri
        self._place = place
        self._client = clients.get(store)
        self._bucket = store.bucket
        self._lock = threading.Lock()
        head = self._call("head_object" if resuming else "get_object", {})
        self._first: Any = head.get("Body")
        self._etag: str = head.get("ETag", "")
        self.size: int | None = head["ContentLength"]
        headers = head["ResponseMetadata"]["HTTPHeaders"]
        modified = head.get("LastModified")
        changed = None if modified is None else millis(modified)
        said = said_modified(own_entries(headers))
        self.modified_millis: int | None = changed if said is None else said
        self.content_type: str | None = head.get("ContentType")
        self.identity = f"{self._etag or changed} {self.size}"
        self.carried = carried(headers, _METADATA, expires=True)
        if place.target.is_prefix and not self.size:
            self.close()
            raise failures.source_is_prefix(place.uri)

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[WebStream]:
        with self._lock:
            body = self._first if offset == 0 else None
            self._first = None if body is not None else self._first
        size = self.size or 0
        # No range can be asked for behind the end; the last byte is read away instead.
        start = min(offset, max(0, size - 1))
        if body is None:
            asked = {"Range": f"bytes={start}-"} if start else {}
            answer = self._call("get_object", asked | self._same())
            body = answer["Body"]
            if start and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                start = 0  # a server that knows no ranges: what is before it is read away
        # boto3 has no way to wake a blocked read; the urllib3 response inside of it has.
        stream = WebStream(body._raw_stream, self.uri, size - start)
        try:
            _skip(stream, offset - start)
            yield stream
        finally:
            body.close()

    def check_unchanged(self) -> None:
        self._call("head_object", self._same())

    def close(self) -> None:
        with self._lock:
            first, self._first = self._first, None
        if first is not None:
            first.close()

    def _same(self) -> dict[str, str]:
        return {"IfMatch": self._etag} if self._etag else {}

    def _call(self, operation: str, asked: dict[str, str]) -> dict[str, Any]:
        key = self._place.target.key
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(
                Bucket=self._bucket, Key=key, **asked
            )
        except (ClientError, BotoCoreError) as error:
            raise self._refused(store_error(error, self.uri, self._bucket)) from error
        return answer

    def _refused(self, error: JobError) -> JobError:
        missing = self._place.target.is_prefix and error.code == "source_missing"
        return failures.source_is_prefix(self.uri) if missing else error


def list_s3(
    place: StorePlace, store: Store, report: Callable[[Problem], None], after: str
) -> Iterator[Entry]:
    """The objects below the prefix of *place*, in the store's order, 1,000 a request.

    The empty objects that stand for folders (`folder/`) are passed over, as a folder of a
    disk is; one with content is reported, since B2 has no such names.
    """
    prefix = place.target.key
    pages = clients.get(store).get_paginator("list_objects_v2")
    asked = {"Bucket": store.bucket, "Prefix": prefix}
    if after:
        asked["StartAfter"] = prefix + after
    try:
        for page in pages.paginate(**asked):
            for item in page.get("Contents", ()):
                name = item["Key"][len(prefix) :]
                if name.endswith("/") or not name:
                    if item["Size"]:
                        report(failures.folder_with_content(name, place.uri))
                    continue
                yield Entry(
                    name,
                    item["Size"],
                    millis(item["LastModified"]),
                    f"{item['ETag']} {item['Size']}",
                    has_modified=False,
                )
    except (ClientError, BotoCoreError) as error:
        raise store_error(error, place.uri, store.bucket) from error


def _skip(stream: WebStream, count: int) -> None:
    while count > 0 and (chunk := stream.read(min(count, 1024 * 1024))):
        count -= len(chunk)
