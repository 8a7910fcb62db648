"""The errors B2 answers with: an HTTP status, a stable code, a sentence.

    B2Error                      anything that becomes {"status", "code", "message"}
      400 bad_request, bad_json  the request is malformed
      400 <specific code>        bad_bucket_id, file_not_present, already_hidden, missing_part, ...
      401                        bad_auth_token, expired_auth_token, unauthorized
      403                        access_denied and the caps
      404 not_found, 405, 409, 416, 429, 5xx

Messages that b2sdk reads with a regular expression (auth_token_limit,
source_too_large) are spelled exactly as it expects them.
"""

from __future__ import annotations


class B2Error(Exception):
    """An answer other than success."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_seconds: int | None = None,
        challenge: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.challenge = challenge
        """What WWW-Authenticate says; B2 sends it from b2_authorize_account only."""

    def as_json(self) -> dict[str, object]:
        """The body B2 sends with it."""
        return {"status": self.status, "code": self.code, "message": self.message}


def bad_request(message: str, code: str = "bad_request") -> B2Error:
    return B2Error(400, code, message)


def bad_bucket_id(bucket_id: object) -> B2Error:
    return B2Error(400, "bad_bucket_id", f"Bucket {bucket_id} does not exist")


def bad_file_id(field: str, file_id: object) -> B2Error:
    return bad_request(f"Invalid {field}: {file_id}")


def unauthorized(message: str = "unauthorized") -> B2Error:
    return B2Error(401, "unauthorized", message)


def bad_auth_token(message: str = "Invalid authorization token") -> B2Error:
    return B2Error(401, "bad_auth_token", message)


def expired_auth_token(message: str = "Authorization token has expired") -> B2Error:
    return B2Error(401, "expired_auth_token", message)


def access_denied(message: str = "Access denied") -> B2Error:
    return B2Error(403, "access_denied", message)


def locked() -> B2Error:
    """A retained or held file may not be deleted: 401 with the code of a 403."""
    return B2Error(401, "access_denied", "Access Denied")


def missing_file_lock() -> B2Error:
    return B2Error(400, "bucket_missing_file_lock", "The bucket is not file lock enabled")


def not_found(message: str) -> B2Error:
    return B2Error(404, "not_found", message)


def file_not_present(file_id: str, name: str) -> B2Error:
    return B2Error(400, "file_not_present", f"File not present: {name} {file_id}")


def no_active_upload(file_id: str) -> B2Error:
    return B2Error(400, "bad_request", f"No active upload for: {file_id}")


def auth_token_limit(token: str) -> B2Error:
    return B2Error(400, "auth_token_limit", f"more than one upload using auth token {token}")


def source_too_large(size: int) -> B2Error:
    return B2Error(400, "source_too_large", f"Copy source too big: {size}")


def range_not_satisfiable() -> B2Error:
    return B2Error(
        416, "range_not_satisfiable", "The Range in the request is outside the size of the file"
    )
