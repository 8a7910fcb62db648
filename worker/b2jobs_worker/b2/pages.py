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


def name_pages(
    client: B2Client, bucket: BucketName, prefix: str, start: str = ""
) -> Iterator[Documents]:
    """B2's documents of the visible files, in order of their names, from *start* on.

    One class C call for each thousand, and none more.
    """

    def ask(position: str | None) -> tuple[Documents, str | None]:
        def look(account: Account) -> tuple[Documents, str | None]:
            page = account.session.list_file_names(
                bucket.bucket_id, start_file_name=position, max_file_count=PAGE, prefix=prefix
            )
            return page["files"], page.get("nextFileName")

        return client.call("list_file_names", look, needs=("listFiles",), bucket=bucket.name)

    with ThreadPoolExecutor(1, thread_name_prefix="b2jobs-listing") as ahead:
        future: Future[tuple[Documents, str | None]] = ahead.submit(ask, start or None)
        while True:
            documents, following = future.result()
            if following is not None:
                future = ahead.submit(ask, following)
            yield documents
            if following is None:
                return


def version_pages(
    client: B2Client, bucket: BucketName, prefix: str, start: str = ""
) -> Iterator[Documents]:
    """B2's documents of all versions and hide markers, newest first within a name.

    One class C call for each thousand, and none more.
    """

    def ask(position: Position) -> tuple[Documents, Position]:
        def look(account: Account) -> tuple[Documents, Position]:
            page = account.session.list_file_versions(
                bucket.bucket_id,
                start_file_name=position[0],
                start_file_id=position[1],
                max_file_count=PAGE,
                prefix=prefix,
            )
            return page["files"], (page.get("nextFileName"), page.get("nextFileId"))

        return client.call("list_file_versions", look, needs=("listFiles",), bucket=bucket.name)

    with ThreadPoolExecutor(1, thread_name_prefix="b2jobs-listing") as ahead:
        future: Future[tuple[Documents, Position]] = ahead.submit(ask, (start or None, None))
        while True:
            documents, following = future.result()
            if following[0] is not None:
                future = ahead.submit(ask, following)
            yield documents
            if following[0] is None:
                return
