"""Objects behind an S3 interface, through boto3.

boto3 and not obstore, which serves the other stores: keys are used exactly as they are,
also `a//b` and `/a` (docs/decisions/sources-object-stores.md).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from b2jobs_worker.sources import failures
from b2jobs_worker.sources.port import Entry, Problem
from b2jobs_worker.sources.roots import StorePlace
from b2jobs_worker.sources.s3_failures import store_error
from b2jobs_worker.sources.web import WebStream

_CREDENTIALS = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
    "region": "region_name",
    "endpoint": "endpoint_url",
}


class S3Source:
    """One request has been answered when this is made; the first `open` reads its body.

    Every later read asks for the same ETag, so a replaced object is noticed at once.
    """

    ranged = True

    def __init__(self, place: StorePlace, credentials: dict[str, str]) -> None:
        self.uri = place.uri
        self._place = place
        self._client = _clients.get(credentials)
        self._lock = threading.Lock()
        first = self._get({})
        self._first: Any = first["Body"]
        self._etag: str = first["ETag"]
        self.size: int | None = first["ContentLength"]
        self.modified_millis: int | None = int(first["LastModified"].timestamp() * 1000)
        self.content_type: str | None = first.get("ContentType")
        self.identity = f"{self._etag} {self.size}"

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[WebStream]:
        with self._lock:
            body = self._first if offset == 0 else None
            self._first = None if body is not None else self._first
        if body is None:
            body = self._from(offset)
        # boto3 has no way to wake a blocked read; the urllib3 response inside of it has.
        stream = WebStream(body._raw_stream, self.uri)
        try:
            yield stream
        finally:
            body.close()

    def check_unchanged(self) -> None:
        self._call("head_object", {"IfMatch": self._etag})

    def close(self) -> None:
        with self._lock:
            first, self._first = self._first, None
        if first is not None:
            first.close()

    def _from(self, offset: int) -> Any:
        if self.size is not None and offset >= self.size:
            # No range can be asked for behind the end; the last byte is read away instead.
            offset, beyond = max(0, self.size - 1), True
        else:
            beyond = False
        asked = {"IfMatch": self._etag} | ({"Range": f"bytes={offset}-"} if offset else {})
        body = self._get(asked)["Body"]
        if beyond:
            body.read()
        return body

    def _get(self, asked: dict[str, str]) -> dict[str, Any]:
        return self._call("get_object", asked)

    def _call(self, operation: str, asked: dict[str, str]) -> dict[str, Any]:
        target = self._place.target
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(
                Bucket=target.bucket, Key=target.key, **asked
            )
        except (ClientError, BotoCoreError) as error:
            raise store_error(error, self.uri) from error
        return answer


def list_s3(
    place: StorePlace,
    credentials: dict[str, str],
    report: Callable[[Problem], None],
    after: str,
) -> Iterator[Entry]:
    """The objects below the prefix of *place*, in the store's order, 1,000 a request.

    The empty objects that stand for folders (`folder/`) are passed over, as a folder of a
    disk is; one with content is reported.
    """
    target = place.target
    prefix = target.key
    pages = _clients.get(credentials).get_paginator("list_objects_v2")
    asked = {"Bucket": target.bucket, "Prefix": prefix}
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
                    int(item["LastModified"].timestamp() * 1000),
                    f"{item['ETag']} {item['Size']}",
                )
    except (ClientError, BotoCoreError) as error:
        raise store_error(error, place.uri) from error


class _Clients:
    """One client for each set of credentials and process; boto3 needs about 50 ms for one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[tuple[tuple[str, str], ...], Any] = {}

    def get(self, credentials: dict[str, str]) -> Any:
        key = tuple(sorted(credentials.items()))
        with self._lock:
            if key not in self._clients:
                self._clients[key] = _client(credentials)
            return self._clients[key]


def _client(credentials: dict[str, str]) -> Any:
    named = {_CREDENTIALS[key]: value for key, value in credentials.items()}
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=64,
        retries={"total_max_attempts": 1},  # trying again is decided by delivery/
        s3={"addressing_style": "path" if "endpoint" in credentials else "auto"},
        response_checksum_validation="when_required",
    )
    try:
        session = boto3.session.Session()
        if session.region_name is None:
            named.setdefault("region_name", "us-east-1")
        return session.client("s3", config=config, **named)  # type: ignore[call-overload]
    except (BotoCoreError, ValueError) as error:
        raise store_error(error, "this store") from error


_clients = _Clients()


def _forget_clients() -> None:
    global _clients  # noqa: PLW0603 - two processes must not use one connection
    _clients = _Clients()


os.register_at_fork(after_in_child=_forget_clients)
