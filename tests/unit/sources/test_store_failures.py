"""What object stores and their libraries say becomes an error that names who must act."""

from __future__ import annotations

import inspect
import ssl
from types import ModuleType
from typing import Any

import azure.core.exceptions as azure_exceptions
import google.auth.exceptions as google_exceptions
import pytest
from azure.storage.blob import StorageErrorCode
from botocore import exceptions as botocore_exceptions

from b2jobs_worker.sources.azure_failures import blob_error
from b2jobs_worker.sources.google_failures import token_error
from b2jobs_worker.sources.s3_failures import store_error
from b2jobs_worker.sources.store_failures import answered


def kinds_of(module: ModuleType, root: type[BaseException]) -> list[Any]:
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass)]
    return [kind for kind in found if issubclass(kind, root)]


def test_every_exception_of_boto3_is_mapped() -> None:
    made = kinds_of(botocore_exceptions, botocore_exceptions.BotoCoreError)
    assert len(made) > 50
    for kind in made:
        passes = issubclass(
            kind, botocore_exceptions.HTTPClientError | botocore_exceptions.ConnectionError
        )
        error = store_error(kind.__new__(kind), "s3://bucket/key")
        assert error.act == ("nobody" if passes else "operator")


def test_every_exception_of_azure_is_mapped() -> None:
    interrupted = "source_interrupted"
    named = {
        "ServiceRequestError": "source_unreachable",
        "ServiceRequestTimeoutError": "source_unreachable",
        "ClientAuthenticationError": "store_credentials_missing",
    }
    kinds = kinds_of(azure_exceptions, azure_exceptions.AzureError)
    assert len(kinds) > 15
    for kind in kinds:
        error = blob_error(kind.__new__(kind), "azure://box/key", "box")
        assert error.code == named.get(kind.__name__, interrupted), kind
    assert blob_error(ValueError("geheim"), "azure://box/key", "box").code == "store_misconfigured"
    assert blob_error(OSError("geheim"), "azure://box/key", "box").code == interrupted


def test_every_exception_of_google_is_mapped() -> None:
    named = {
        "DefaultCredentialsError": "store_credentials_missing",
        "TransportError": "source_unreachable",
        "ResponseError": "source_unreachable",
        "RefreshError": "source_forbidden",
        "ReauthFailError": "source_forbidden",
        "ReauthSamlChallengeFailError": "source_forbidden",
    }
    for kind in kinds_of(google_exceptions, google_exceptions.GoogleAuthError):
        error = token_error(kind("geheim"), "gs://box/key")
        assert "geheim" not in error.message + error.hint
        if kind.__name__ in named:
            assert error.code == named[kind.__name__], kind
        assert error.act in ("operator", "nobody")


def test_a_token_that_came_from_a_wrong_clock() -> None:
    said = "('invalid_grant: Invalid JWT: Check your iat and exp values in the JWT claim.')"
    error = token_error(google_exceptions.RefreshError(said), "gs://box/key")
    assert (error.code, error.act) == ("store_clock_wrong", "operator")


UNKNOWN = ssl.SSLCertVerificationError("geheim")


@pytest.mark.parametrize(
    "error",
    [
        botocore_exceptions.SSLError(endpoint_url="https://h", error=UNKNOWN),
        azure_exceptions.ServiceRequestError("geheim", error=UNKNOWN),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_certificate_that_nobody_vouches_for(error: Exception) -> None:
    by_azure = isinstance(error, azure_exceptions.AzureError)
    found = blob_error(error, "u", "b") if by_azure else store_error(error, "u")
    assert (found.code, found.act) == ("tls_untrusted", "operator")
    assert "ca_file" in found.hint


ANSWERS = [
    (404, "NoSuchKey", "source_missing", "caller"),
    (404, "404", "source_missing", "caller"),
    (404, "NoSuchBucket", "source_missing", "caller"),
    (404, "ContainerNotFound", "source_missing", "caller"),
    (404, "BlobNotFound", "source_missing", "caller"),
    (403, "AccessDenied", "source_forbidden", "operator"),
    (403, "403", "source_forbidden", "operator"),
    (403, "SignatureDoesNotMatch", "source_forbidden", "operator"),
    (400, "InvalidToken", "source_forbidden", "operator"),
    (400, "ExpiredToken", "source_forbidden", "operator"),
    (401, "NoAuthenticationInformation", "source_forbidden", "operator"),
    (401, "AuthenticationRequired", "source_forbidden", "operator"),
    (403, "AuthenticationFailed", "source_forbidden", "operator"),
    (403, "AccountIsDisabled", "source_forbidden", "operator"),
    (409, "AccountIsDisabled", "source_forbidden", "operator"),
    (409, "PublicAccessNotPermitted", "source_forbidden", "operator"),
    (403, "InvalidObjectState", "source_archived", "operator"),
    (409, "BlobArchived", "source_archived", "operator"),
    (409, "BlobBeingRehydrated", "source_archived", "operator"),
    (403, "RequestTimeTooSkewed", "store_clock_wrong", "operator"),
    (400, "KMS.DisabledException", "source_encrypted", "operator"),
    (400, "KMS.NotFoundException", "source_encrypted", "operator"),
    (409, "BlobUsesCustomerSpecifiedEncryption", "source_encrypted", "operator"),
    (400, "ResourceIsEncryptedWithCustomerEncryptionKey", "source_encrypted", "operator"),
    (301, "PermanentRedirect", "store_misconfigured", "operator"),
    (400, "AuthorizationHeaderMalformed", "store_misconfigured", "operator"),
    (400, "400", "store_misconfigured", "operator"),
    (400, "InvalidUri", "source_refused", "caller"),
    (409, "SomethingNew", "source_refused", "caller"),
    (400, "RequestTimeout", "source_busy", "nobody"),
    (400, "KMS.ThrottlingException", "source_busy", "nobody"),
    (429, "TooManyRequests", "source_busy", "nobody"),
    (503, "SlowDown", "source_busy", "nobody"),
    (503, "ServerBusy", "source_busy", "nobody"),
    (412, "PreconditionFailed", "source_changed", "nobody"),
    (412, "ConditionNotMet", "source_changed", "nobody"),
    (416, "InvalidRange", "source_changed", "nobody"),
    (500, "InternalError", "source_unavailable", "nobody"),
    (500, "OperationTimedOut", "source_busy", "nobody"),
    (503, "", "source_unavailable", "nobody"),
]


@pytest.mark.parametrize(("status", "answer", "expected", "act"), ANSWERS)
def test_every_answer_has_a_code(status: int, answer: str, expected: str, act: str) -> None:
    response = {
        "Error": {"Code": answer, "Message": "geheim"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "17"}},
    }
    error = store_error(
        botocore_exceptions.ClientError(response, "GetObject"),  # type: ignore[arg-type]
        "s3://b/k",
        "b",
    )
    assert (error.code, error.act) == (expected, act)
    assert "geheim" not in error.message + error.hint
    assert error.act == "nobody" or error.hint or expected == "source_missing"
    if expected in ("source_busy", "source_unavailable"):
        assert error.wait is not None
        assert error.wait.seconds == 17


def test_every_code_of_azure_names_who_must_act() -> None:
    for code in StorageErrorCode:
        for status in (400, 403, 404, 409):
            error = answered(status, code.value, {}, "azure://box/key", bucket="box")
            assert error.act != "us"
            assert error.act == "nobody" or error.wait is None


def test_what_one_code_means_by_its_text() -> None:
    text = "The object was stored using a form of Server Side Encryption. The correct ..."
    assert answered(400, "InvalidRequest", {}, "s3://b/k", text=text).code == "source_encrypted"
    assert answered(400, "InvalidRequest", {}, "s3://b/k").code == "store_misconfigured"
    late = "Request date header too old: 'Mon, 01 Jan 2024 00:00:00 GMT'"
    assert answered(403, "AuthenticationFailed", {}, "azure://b/k", text=late).code == (
        "store_clock_wrong"
    )


def test_a_missing_bucket_is_named_with_a_way_out() -> None:
    for code in ("NoSuchBucket", "ContainerNotFound"):
        error = answered(404, code, {}, "data://legacy/key", bucket="old-bucket")
        assert "old-bucket" in error.message
        assert "endpoint" in error.hint
