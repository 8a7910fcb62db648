"""What google-auth says when there is no token, as an error of b2jobs. Nothing of it is quoted."""

from __future__ import annotations

from google.auth.exceptions import (
    DefaultCredentialsError,
    GoogleAuthError,
    RefreshError,
    ResponseError,
    TransportError,
)

from b2jobs.errors import JobError, OperatorError, PassingError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.web_failures import is_certificate

__all__ = ["GoogleAuthError", "token_error"]


def token_error(error: GoogleAuthError, uri: str) -> JobError:
    """The error of b2jobs for *error*, met while a token for *uri* was asked for."""
    if is_certificate(error):
        return failures.tls_untrusted(uri)
    if isinstance(error, DefaultCredentialsError):
        return OperatorError(
            "store_credentials_missing",
            f"There are no credentials for {uri}.",
            hint='Complete its entry under "stores" in the secrets file, or give the worker\'s '
            "machine a service account.",
        )
    if isinstance(error, TransportError | ResponseError) or error.retryable:
        return PassingError("source_unreachable", f"Google gives no token for {uri} now.")
    if isinstance(error, RefreshError):
        if "iat and exp" in str(error):
            return failures.clock_wrong(uri, "the token's times")
        return failures.source_forbidden(uri, "no token for this key")
    return failures.store_misconfigured(uri)
