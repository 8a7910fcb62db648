"""Mint a URL that opens a private file for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from b2jobs.errors import CallerError
from b2jobs.requests import Share
from b2jobs.results import ShareResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.transfer.context import Context, Usage


def share(request: Share, attempt: Attempt, context: Context) -> ShareResult:
    """Return a URL that opens the file until `expires_at`, whatever the bucket's type.

    The token in it is for names that begin with the file's name: B2 knows no narrower one.
    Whoever has the URL can read the file; it cannot be called back before it expires.

    Raises:
        CallerError: `file_not_found` (with a key that may read), `bucket_not_found`.
        OperatorError: `capability_missing`, shareFiles above all.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    file = request.source_location
    account = client.require("shareFiles", name=file.name)
    bucket = client.bucket(file.bucket)
    if "readFiles" in account.capabilities:
        version = client.latest(bucket, file.name)
        if version is None:
            raise file_not_found(request.source)
        if version.has_customer_key:
            raise CallerError(
                "not_shareable",
                f"{request.source} is encrypted with a customer's key (SSE-C): no URL opens it.",
                hint="Share a copy of it with encryption='SSE-B2'.",
            )
    expires_at = datetime.now(UTC) + timedelta(seconds=request.seconds)
    token = client.download_authorization(bucket, file.name, request.seconds)
    return ShareResult(
        **usage.fields("share"),
        url=f"{client.url(file.bucket, file.name)}?Authorization={token}",
        uri=request.source,
        expires_at=expires_at,
    )
