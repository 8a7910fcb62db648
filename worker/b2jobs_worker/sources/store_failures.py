"""What any object store answers, as an error of b2jobs: by its code first, then by the status.

code of S3, Google or Azure                          here                   who
NoSuchBucket, ContainerNotFound, NoSuchKey, 404      source_missing         caller
InvalidObjectState, BlobArchived, BlobBeingRehydrated source_archived       operator
RequestTimeTooSkewed, and dates refused              store_clock_wrong      operator
AccessDenied, keys, tokens, disabled accounts, 401 3 source_forbidden       operator
KMS.*, customer keys                                 source_encrypted       operator
redirects of S3, regions, endpoints                  store_misconfigured    operator
InvalidUri, other 4xx                                source_refused         caller
SlowDown, ServerBusy, ..., 408, 429                  source_busy            nobody
5xx                                                  source_unavailable     nobody
412, 416                                             source_changed         nobody
"""

from __future__ import annotations

from collections.abc import Mapping

from b2jobs.errors import CallerError, JobError, OperatorError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.web_failures import status_error

_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerDisabled", "ContainerBeingDeleted"}
_MISSING = {"NoSuchKey", "BlobNotFound", "ResourceNotFound", "NoSuchVersion"}
_ARCHIVED = {"InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired", "RequestNotYetValid"}
_ENCRYPTED = {
    "ServerSideEncryptionCustomerKeyNotFoundError", "InvalidEncryptionAlgorithmError",
    "BlobUsesCustomerSpecifiedEncryption", "BlobCustomerSpecifiedEncryptionMismatch",
    "CustomerEncryptionKeyIsIncorrect", "CustomerEncryptionAlgorithmIsInvalid",
    "ResourceIsEncryptedWithCustomerEncryptionKey", "KeyVaultEncryptionKeyNotFound",
    "KeyVaultAccessTokenCannotBeAcquired", "KeyVaultVaultNotFound",
}  # fmt: skip
_FORBIDDEN = {
    "AccessDenied", "AllAccessDisabled", "AccountProblem", "AccountIsDisabled",
    "UserProjectMissing", "InvalidSecurity", "InvalidToken",
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
    "TokenRefreshRequired", "NotSignedUp", "InvalidPayer", "AuthenticationFailed",
    "NoAuthenticationInformation", "InvalidAuthenticationInfo", "InsufficientAccountPermissions",
    "AuthorizationFailure", "AuthorizationPermissionMismatch", "AuthorizationSourceIPMismatch",
    "AuthorizationProtocolMismatch", "AuthorizationServiceMismatch",
    "AuthorizationResourceTypeMismatch", "PublicAccessNotPermitted", "AuthenticationRequired",
    "UserAccountProblem", "UnauthorizedAccess", "KeyBasedAuthenticationNotPermitted",
}  # fmt: skip
_MISCONFIGURED = {
    "PermanentRedirect", "TemporaryRedirect", "Redirect", "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException", "InvalidRegion", "InvalidBucketName", "InvalidRequest",
    "InvalidResourceName", "UnsupportedHttpVerb", "MethodNotAllowed", "NotImplemented",
    "InvalidLocationConstraint", "InvalidHeaderValue", "UnsupportedHeader",
    "FeatureVersionMismatch",
}  # fmt: skip
_BUSY = {
    "SlowDown", "ServerBusy", "RequestTimeout", "RequestLimitExceeded", "Throttling",
    "ThrottlingException", "ThrottledException", "RequestThrottled", "TooManyRequests",
    "BandwidthLimitExceeded", "OperationTimedOut", "OperationAborted", "RequestThrottledException",
    "KMS.ThrottlingException",
}  # fmt: skip
_FAILING = {"InternalError", "ServiceUnavailable", "InternalFailure", "SystemInUse"}


def answered(
    status: int,
    code: str,
    headers: Mapping[str, str],
    uri: str,
    *,
    bucket: str = "",
    text: str = "",
) -> JobError:
    """The error of b2jobs for an answer with *status* and the store's own *code*.

    *text* is looked through where one code means several things; it is never quoted.
    """
    said = f"{status} {code}".rstrip()
    plain = {name.lower(): text for name, text in headers.items()}
    if code in _NO_BUCKET:
        return CallerError(
            "source_missing",
            f"There is no bucket or container {bucket or 'of that name'} for {uri}: {said}.",
            hint="Check its name, and endpoint and region of its entry in the secrets file.",
        )
    if code in _BUSY:
        return status_error(429, {"Retry-After": plain.get("retry-after", "")}, uri)
    if code in _FAILING:
        status = max(status, 500)
    if code in _ARCHIVED:
        return OperatorError(
            "source_archived",
            f"{uri} lies in an archive class and cannot be read at once.",
            hint="Restore it in its store first.",
        )
    if code in _CLOCK or "date header too old" in text:  # Azure says AuthenticationFailed
        return failures.clock_wrong(uri, said)
    sse_c = code == "InvalidRequest" and "Server Side Encryption" in text
    if sse_c or code in _ENCRYPTED or code.startswith("KMS"):
        return OperatorError(
            "source_encrypted",
            f"{uri} is encrypted with a key that the store does not use for this worker: {said}.",
            hint="Enable the key in the store's key management and let the worker's key use it; "
            "what is encrypted with a key of the customer must be copied without it first.",
        )
    if status in (412, 416):
        return failures.source_changed(uri)
    if code in _MISSING:
        return failures.source_missing(uri)
    if status in (401, 403) or code in _FORBIDDEN:
        return failures.source_forbidden(uri, said)
    if status in (301, 307, 308, 400, 405, 501) and (code in _MISCONFIGURED or not _names(code)):
        return OperatorError(
            "store_misconfigured",
            f"The store does not accept the request for {uri}: {said}.",
            hint='Check region and endpoint under "stores" in the secrets file.',
        )
    if status < 500 and status not in (404, 408, 410, 425, 429):
        return CallerError(
            "source_refused",
            f"The store does not serve {uri}: {said}.",
            hint="Look the code up in the store's documentation.",
        )
    return status_error(status, {"Retry-After": plain.get("retry-after", "")}, uri)


def _names(code: str) -> bool:
    """Whether *code* says more than the status again, as an answer without a body does."""
    return bool(code) and not code.isdigit() and code not in ("BadRequest", "MovedPermanently")
