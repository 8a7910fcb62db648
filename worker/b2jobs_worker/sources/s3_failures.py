"""What an S3 interface says, as an error of b2jobs: of S3 itself, and of Google's.

Of an answer only the status and the code are quoted: its text can hold a key id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore import exceptions as foreign

from b2jobs.errors import JobError, OperatorError, PassingError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.store_failures import answered
from b2jobs_worker.sources.web_failures import is_certificate


def store_error(error: Exception, uri: str, bucket: str = "") -> JobError:
    """The error of b2jobs for *error*, met while reading *uri*, which lies in *bucket*."""
    if isinstance(error, foreign.ClientError):
        head: Any = error.response.get("ResponseMetadata", {})
        headers: Mapping[str, str] = head.get("HTTPHeaders", {})
        told: Any = error.response.get("Error", {})
        code, text = str(told.get("Code", "")), str(told.get("Message", ""))
        status = int(head.get("HTTPStatusCode", 500))
        return answered(status, code, headers, uri, bucket=bucket, text=text)
    if isinstance(error, foreign.SSLError) and is_certificate(error):
        return failures.tls_untrusted(uri)
    if isinstance(error, foreign.HTTPClientError | foreign.ConnectionError):
        return PassingError("source_unreachable", f"The store of {uri} cannot be reached.")
    if isinstance(error, foreign.NoCredentialsError | foreign.PartialCredentialsError):
        return OperatorError(
            "store_credentials_missing",
            f"There are no credentials for {uri}.",
            hint='Complete its entry under "stores" in the secrets file.',
        )
    return OperatorError(
        "store_misconfigured",
        f"{uri} cannot be read with this configuration ({type(error).__name__}).",
        hint='Check its entry under "stores" in the secrets file, region and endpoint too.',
    )
