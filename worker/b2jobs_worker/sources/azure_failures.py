"""What azure-storage-blob says, as an error of b2jobs. Nothing of it is quoted but its code."""

from __future__ import annotations

from typing import Any

from azure.core import exceptions as foreign

from b2jobs.errors import JobError, OperatorError, PassingError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.store_failures import answered
from b2jobs_worker.sources.web_failures import is_certificate


def blob_error(error: Exception, uri: str, bucket: str) -> JobError:
    """The error of b2jobs for *error*, met while reading *uri*, which lies in *bucket*."""
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, foreign.HttpResponseError) and isinstance(status, int) and status >= 300:
        code = getattr(error, "error_code", None) or response.headers.get("x-ms-error-code", "")
        return answered(
            status,
            str(getattr(code, "value", code)),
            response.headers,
            uri,
            bucket=bucket,
            text=str(error.message),
        )
    if is_certificate(error):
        return failures.tls_untrusted(uri)
    match error:
        case foreign.ServiceRequestError():
            return PassingError("source_unreachable", f"The store of {uri} cannot be reached.")
        case foreign.ClientAuthenticationError():
            return OperatorError(
                "store_credentials_missing",
                f"There are no credentials for {uri}.",
                hint='Complete its entry under "stores" in the secrets file, or give the '
                "worker's machine an identity.",
            )
        case foreign.AzureError() | OSError():
            return PassingError("source_interrupted", f"Reading {uri} broke off.")
        case _:
            return failures.store_misconfigured(uri)
