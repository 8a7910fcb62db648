"""What boto3 says, as an error of b2jobs.

Of an answer only the status and the code are quoted: its text can hold a key id.
"""

from __future__ import annotations

from typing import Any

from botocore import exceptions as foreign

from b2jobs.errors import JobError, OperatorError, PassingError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.web_failures import status_error

_WRONG_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


def store_error(error: Exception, uri: str) -> JobError:
    """The error of b2jobs for *error*, met while reading *uri*."""
    if isinstance(error, foreign.ClientError):
        return _answered(error.response, uri)
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


def _answered(answer: Any, uri: str) -> JobError:
    head = answer.get("ResponseMetadata", {})
    status = int(head.get("HTTPStatusCode", 500))
    code = str(answer.get("Error", {}).get("Code", ""))
    if status in (412, 416):
        return failures.source_changed(uri)
    if code == "InvalidObjectState":
        return OperatorError(
            "source_archived",
            f"{uri} lies in an archive class and cannot be read at once.",
            hint="Restore it in its store first.",
        )
    if status in (401, 403) or code in _WRONG_KEY:
        return OperatorError(
            "source_forbidden",
            f"The store refuses to show {uri}: {status} {code}.",
            hint='Check the key\'s rights and its entry under "stores" in the secrets file.',
        )
    if status in (301, 307, 400) and code not in ("404", "NoSuchKey", "RequestTimeout"):
        return OperatorError(
            "store_misconfigured",
            f"The store does not accept the request for {uri}: {status} {code}.",
            hint='Check region and endpoint under "stores" in the secrets file.',
        )
    if code in ("SlowDown", "RequestTimeout", "RequestLimitExceeded"):
        status = 429
    headers = {"Retry-After": str(head.get("HTTPHeaders", {}).get("retry-after", ""))}
    return status_error(status, headers, uri)
