"""Files below a prefix of a bucket, sorted by the bytes of their names, from any of them on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from b2jobs.locations import B2File
from b2jobs_worker.b2.client import B2Client


class Listed(NamedTuple):
    """A file: its name below the prefix, its size, when it was modified (else uploaded) and,
    where the listing tells it, its SHA-1.

    has_customer_key: encrypted with a customer's key (SSE-C).
    """

    name: str
    size: int
    modified_millis: int
    sha1: str | None = None
    has_customer_key: bool = False
    file_id: str = ""


def below_bucket(client: B2Client, prefix: B2File, after: str) -> Iterator[Listed]:
    """The visible files behind *after*. One class C call for each thousand."""
    bucket = client.bucket(prefix.bucket)
    start: str | None = prefix.name + after if after else None
    while True:
        page, start = client.list_names(bucket, prefix=prefix.name, start=start)
        for version in page:
            name = version.name.removeprefix(prefix.name)
            if name and name.encode() > after.encode():
                modified = version.modified_millis
                millis = version.uploaded_millis if modified is None else modified
                has_key = version.has_customer_key
                yield Listed(name, version.size, millis, version.sha1, has_key, version.file_id)
        if start is None:
            return
