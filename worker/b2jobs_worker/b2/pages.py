"""Whole listings, a page ahead: while one page is worked on, the next is already asked for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from b2jobs_worker.b2.accounts import Account, BucketName
from b2jobs_worker.b2.client import B2Client

PAGE = 1000
"""What one class C call may list."""

Documents = list[dict[str, Any]]
Position = tuple[str | None, str | None]
"""The name and the file id at which a page begins."""


def name_pages(
    client: B2Client, bucket: BucketName, prefix: str, start: str = ""
) -> Iterator[Documents]:
    """B2's documents of the visible files, in order of their names, from *start* on.

    One class C call for each thousand, and none more.
    """
    pages = listed_pages(client, bucket, prefix, (start or None, None))
    return (documents for documents, _ in pages)


def version_pages(
    client: B2Client, bucket: BucketName, prefix: str, start: str = ""
) -> Iterator[Documents]:
    """B2's documents of all versions and hide markers, newest first within a name.

    One class C call for each thousand, and none more.
    """
    pages = listed_pages(client, bucket, prefix, (start or None, None), versions=True)
    return (documents for documents, _ in pages)


def listed_pages(
    client: B2Client,
    bucket: BucketName,
    prefix: str,
    start: Position = (None, None),
    *,
    versions: bool = False,
    delimiter: str | None = None,
    count: int = PAGE,
) -> Iterator[tuple[Documents, Position | None]]:
    """Pages of B2's documents, each with where the next one begins; None behind the last.

    *delimiter*: what has it behind the prefix stands together, as one document with the action
    `folder`. One class C call for each page.
    """

    def ask(position: Position) -> tuple[Documents, Position | None]:
        return page_of(
            client, bucket, prefix, position, versions=versions, delimiter=delimiter, count=count
        )

    with ThreadPoolExecutor(1, thread_name_prefix="b2jobs-listing") as ahead:
        future: Future[tuple[Documents, Position | None]] = ahead.submit(ask, start)
        while True:
            documents, following = future.result()
            if following is not None:
                future = ahead.submit(ask, following)
            yield documents, following
            if following is None:
                return


def page_of(
    client: B2Client,
    bucket: BucketName,
    prefix: str,
    start: Position,
    *,
    versions: bool = False,
    delimiter: str | None = None,
    count: int = PAGE,
) -> tuple[Documents, Position | None]:
    """One page; see `listed_pages`."""
    call = "list_file_versions" if versions else "list_file_names"

    def look(account: Account) -> tuple[Documents, Position | None]:
        page = account.session.listing(
            call,
            bucketId=bucket.bucket_id,
            startFileName=start[0],
            maxFileCount=count,
            prefix=prefix,
            **({"startFileId": start[1]} if versions else {}),
            **({"delimiter": delimiter} if delimiter else {}),
        )
        following = page.get("nextFileName")
        return page["files"], None if following is None else (following, page.get("nextFileId"))

    return client.call(call, look, needs=("listFiles",), bucket=bucket.name)
