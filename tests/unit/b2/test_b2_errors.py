"""Every exception of b2sdk becomes the error the table in docs/errors.md says."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime

import pytest
from b2sdk.v3 import exception as b2

from b2jobs.errors import CallerError, InternalError, JobError, OperatorError, PassingError, Wait
from b2jobs_worker.b2 import errors
from b2jobs_worker.b2.session import KeyRefused

CLASSES = [
    kind
    for _, kind in sorted(vars(b2).items())
    if inspect.isclass(kind) and issubclass(kind, b2.B2Error)
]
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def answered(
    status: int, code: str | None, message: str = "", headers: dict[str, str] | None = None,
) -> JobError:  # fmt: skip
    """What B2's answer ends in, by way of b2sdk's own interpretation."""
    from b2sdk._internal.exception import interpret_b2_error

    error = interpret_b2_error(status, code, message, headers or {}, {})
    return errors.convert(error, now=NOON)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_b2sdk_is_mapped(kind: type[b2.B2Error]) -> None:
    assert kind in errors._TABLE, f"b2sdk has {kind.__name__}: say in errors.py what it means"


@pytest.mark.parametrize(
    ("status", "code", "message", "act", "our_code"),
    [
        (400, "bad_request", "nonsense", CallerError, "bad_request"),
        (400, "bad_request", "Sha1 did not match data received", PassingError, "checksum_mismatch"),
        (400, "auth_token_limit", "more than one upload using auth token 4_zSECRET",
         PassingError, "upload_url_busy"),
        (400, "part_sha1_mismatch", "", PassingError, "parts_incomplete"),
        (400, "missing_part", "", PassingError, "parts_incomplete"),
        (400, "no_such_file", "", CallerError, "file_not_found"),
        (404, "not_found", "", CallerError, "file_not_found"),
        (404, None, "", CallerError, "file_not_found"),
        (400, "bad_bucket_id", "", CallerError, "bucket_not_found"),
        (400, "duplicate_bucket_name", "", CallerError, "bucket_name_taken"),
        (400, "source_too_large", "Copy source too big: 5000000001", CallerError,
         "copy_source_too_large"),
        (401, "unauthorized", "no", OperatorError, "unauthorized"),
        (401, "email_not_verified", "", OperatorError, "account_unusable"),
        (403, "access_denied", "", OperatorError, "access_denied"),
        (408, "request_timeout", "", PassingError, "timeout"),
        (409, "conflict", "", PassingError, "conflict"),
        (416, "range_not_satisfiable", "", CallerError, "range_not_satisfiable"),
        (500, "internal_error", "", PassingError, "service_failed"),
        (503, "service_unavailable", "", PassingError, "service_unavailable"),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    status: int, code: str | None, message: str, act: type[JobError], our_code: str
) -> None:
    error = answered(status, code, message)
    assert (type(error), error.code) == (act, our_code)
    assert "SECRET" not in error.message


def test_an_exception_b2jobs_never_provokes_is_a_bug() -> None:
    assert isinstance(errors.convert(b2.IncompleteSync()), InternalError)


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("storage_cap_exceeded", errors.STORAGE_CAP_LOOK_SECONDS),
        ("transaction_cap_exceeded", 12 * 3600),
        ("download_cap_exceeded", 12 * 3600),
        ("cap_exceeded", 12 * 3600),
    ],
)
def test_a_cap_waits_until_midnight_or_for_an_operator(code: str, seconds: float) -> None:
    error = answered(403, code, "the cap")
    assert isinstance(error, OperatorError)
    assert error.code == code
    assert error.wait is not None
    assert (error.wait.reason, error.wait.seconds) == ("cap", seconds)


def test_retry_after_is_kept() -> None:
    limited = answered(429, "too_many_requests", headers={"retry-after": "7"})
    assert limited.wait is not None
    assert (limited.wait.reason, limited.wait.seconds) == ("rate_limited", 7)
    busy = answered(503, "busy", headers={"retry-after": "3"})
    assert busy.wait is not None
    assert (busy.wait.reason, busy.wait.seconds) == ("backoff", 3)


def test_a_refused_key_is_the_operators_matter_a_refused_token_is_not() -> None:
    wrong = errors.convert(KeyRefused("no"))
    assert (type(wrong), wrong.code) == (OperatorError, "credentials_invalid")
    assert wrong.wait == Wait("credentials")
    token = answered(401, "bad_auth_token", "bad")
    assert (type(token), token.code) == (PassingError, "token_refused")


def test_the_missing_capability_is_named() -> None:
    refused = b2.Unauthorized("no", "unauthorized")
    error = errors.convert(refused, missing=["writeFiles"])
    assert error.code == "capability_missing"
    assert "writeFiles" in error.message
    assert "writeFiles" in error.hint


def test_midnight_is_the_one_in_utc() -> None:
    assert errors.seconds_until_midnight(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)) == 1
