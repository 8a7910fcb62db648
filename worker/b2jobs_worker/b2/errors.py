"""b2sdk's exceptions become ours here, once.

Each of b2sdk's exception classes is in `_TABLE` (a test lists them and fails on a new
one); what a job does about each is in docs/errors.md. Beside the
class, three things are read from the text, since b2sdk has no class for them: the caps it
does not know, a checksum that was wrong on the way up, and a wrong key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from b2sdk.v3 import exception as b2

from b2jobs.errors import (
    CallerError,
    InternalError,
    JobError,
    OperatorError,
    PassingError,
    Wait,
)
from b2jobs_worker.b2.protection import Encryption
from b2jobs_worker.b2.session import KeyRefused
from b2jobs_worker.b2.versions import FileVersion

STORAGE_CAP_LOOK_SECONDS = 900.0
"""A storage cap ends when an operator acts; until then it is looked at this often."""

_CAP = re.compile(r"\b(\w*cap_exceeded)\b")
_CHECKSUM = re.compile(r"(sha1|checksum).{0,40}(did not match|mismatch)", re.IGNORECASE)
_CUSTOMER_KEY = re.compile(r"\bSSE-C\b|\bServer Side Encryption\b")
_NO_UPLOAD = re.compile(r"no active upload", re.IGNORECASE)
_SECRET = re.compile(r"(token |Authorization[=:] ?)\S+")

NOT_FOUND: type[Exception] = next(
    kind for kind in b2.FileNotPresent.__mro__ if kind.__name__ == "ResourceNotFound"
)
"""The class of every 404; b2sdk does not export it."""

_ABOUT_KEYS = frozenset({"access_denied", "customer_key_needed"})

Build = Callable[[b2.B2Error, str], JobError]


def convert(
    error: b2.B2Error, *, missing: Iterable[str] = (), now: datetime | None = None
) -> JobError:
    """The error of the job whose call ended in *error*.

    *missing* are the capabilities the call needs and the key has not. *now* is for the
    wait until 00:00 UTC, when B2's daily caps begin anew.
    """
    text = _plain(error)
    cap = _CAP.search(text) if isinstance(error, b2.UnknownError | b2.Unauthorized) else None
    if cap is not None:
        return _cap(cap[1], now)
    match error:
        case b2.StorageCapExceeded():
            return _cap("storage_cap_exceeded", now)
        case b2.TransactionCapExceeded():
            return _cap("transaction_cap_exceeded", now)
        case b2.CapExceeded():
            return _cap("cap_exceeded", now)
        case KeyRefused():
            return OperatorError(
                "credentials_invalid",
                "B2 refuses the account's key: the key id or the application key is wrong, or "
                "the key was deleted.",
                hint="Put a valid key into the secrets file; workers read it again by themselves.",
                wait=Wait("credentials"),
            )
        case b2.InvalidAuthToken():
            return PassingError(
                "token_refused", f"B2 refused an authorisation it had just given: {text}"
            )
        case b2.Unauthorized() if missing and not isinstance(
            error, b2.EmailNotVerified | b2.NoPaymentHistory
        ):
            return capability_missing(missing)
        case b2.BadRequest() if _CHECKSUM.search(text):
            return PassingError(
                "checksum_mismatch", "B2 received other bytes than were sent; nothing was stored."
            )
        case b2.BadRequest() if _CUSTOMER_KEY.search(text):
            return customer_key_needed("The file")
        case b2.BadRequest() if _NO_UPLOAD.search(text):
            return CallerError(
                "large_file_gone",
                "B2 has no unfinished large file with this id (any more).",
                hint="Look for a lifecycle rule or a clean-up that cancels unfinished files early.",
            )
        case b2.BadRequest() if error.code == "bucket_missing_file_lock":
            return lock_not_enabled("The bucket")
        case b2.BadRequest() if error.code == "cannot_delete_non_empty_bucket":
            return CallerError(
                "bucket_not_empty",
                "The bucket still has files.",
                hint="Delete all their versions first.",
            )
        case _:
            return _build(error)(error, text)


def capability_missing(missing: Iterable[str]) -> OperatorError:
    """The account's key may not do what the job needs."""
    names = ", ".join(sorted(missing))
    return OperatorError(
        "capability_missing",
        f"The account's key lacks the capability {names}.",
        hint=f"Create a key that has {names} and put it into the secrets file.",
    )


def bucket_not_found(name: str) -> CallerError:
    return CallerError(
        "bucket_not_found",
        f"There is no bucket {name!r} in this account.",
        hint="Create it with `b2jobs bucket create`, or correct the name.",
    )


def bucket_not_allowed(name: str) -> OperatorError:
    return OperatorError(
        "bucket_not_allowed",
        f"The account's key is restricted to other buckets than {name!r}.",
        hint="Use a key for this bucket, or name another account.",
    )


def name_not_allowed(name: str, prefix: str) -> OperatorError:
    return OperatorError(
        "name_not_allowed",
        f"The account's key is restricted to names that begin with {prefix!r}; {name!r} does not.",
        hint="Use a key without this restriction, or another name.",
    )


def file_not_found(what: str) -> CallerError:
    return CallerError(
        "file_not_found", f"There is no file {what}.", hint="Correct the name or the file id."
    )


def customer_key_needed(what: str, key_name: str = "") -> CallerError:
    """*key_name*: what the file itself calls the key."""
    called = f", which its info calls {key_name[:80]!r}" if key_name else ""
    return CallerError(
        "customer_key_needed",
        f"{what} is encrypted with a customer's key (SSE-C){called}; the job names none.",
        hint="Name the key of the workers' secrets file that reads it: customer_key, "
        "--customer-key.",
    )


def customer_key_wrong(what: str, given: str, key_name: str = "") -> CallerError:
    """*given* is the name of the key that was tried, *key_name* what the file itself calls it."""
    called = f" Its info calls it {key_name[:80]!r}." if key_name else ""
    return CallerError(
        "customer_key_wrong",
        f"{what} is encrypted with another customer's key than {given!r}.{called}",
        hint="Name the key it was made with; what the secrets file has under that name may have "
        "been changed since.",
    )


@contextmanager
def naming_key(what: str, key: Encryption | None) -> Iterator[None]:
    """Say that *key* is not that of *what*, where B2 refuses it; it does not say why."""
    try:
        yield
    except JobError as error:
        if key is None or not key.is_customers or error.code not in _ABOUT_KEYS:
            raise
        raise customer_key_wrong(what, key.key_name) from error


def lock_not_enabled(bucket: str) -> CallerError:
    return CallerError(
        "lock_not_enabled",
        f"{bucket} has no file lock, so nothing in it can be retained or held.",
        hint="Enable it for the bucket; or ask for no retention and no hold, which for a copy of "
        "a file that has them means retention='none', legal_hold=False.",
    )


def file_locked(version: FileVersion) -> OperatorError:
    """B2 does not delete it, whoever asks."""
    what = f"The version {version.file_id} of {version.name}"
    if version.is_held:
        return OperatorError(
            "file_locked",
            f"{what} is under a legal hold.",
            hint="Lift the hold with a key that has writeFileLegalHolds, then try again.",
        )
    retention = version.retention
    until = (
        f" until {retention.until:%Y-%m-%d %H:%M:%S} UTC ({retention.mode})" if retention else ""
    )
    return OperatorError(
        "file_locked",
        f"{what} is retained{until}.",
        hint="Wait until then; a governance lock can be lifted by a key with bypassGovernance. "
        'Uploads with if_exists="version" leave it as it is.',
    )


def broken(code: str, text: str) -> PassingError:
    """A body that ended early (`connection_broken`) or stopped coming (`timeout`)."""
    return PassingError(code, f"The connection to B2 broke: {text}.")


def seconds_until_midnight(now: datetime | None = None) -> float:
    """Until 00:00 UTC, when B2's daily caps begin anew."""
    now = now or datetime.now(UTC)
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (tomorrow - now).total_seconds()


def _cap(code: str, now: datetime | None) -> OperatorError:
    storage = code == "storage_cap_exceeded"
    return OperatorError(
        code,
        f"The account has reached a cap ({code.removesuffix('_cap_exceeded').replace('_', ' ')}).",
        hint="Raise it under Caps & Alerts in the account."
        + ("" if storage else " It begins anew at 00:00 UTC."),
        wait=Wait("cap", STORAGE_CAP_LOOK_SECONDS if storage else seconds_until_midnight(now)),
    )


def _plain(error: b2.B2Error) -> str:
    """What b2sdk says, without tokens."""
    return _SECRET.sub(r"\1***", str(error)) or type(error).__name__


def _build(error: b2.B2Error) -> Build:
    for kind in type(error).__mro__:
        build = _TABLE.get(kind) or _BY_NAME.get(kind.__name__)
        if build is not None:
            return build
    return _internal


def _caller(code: str, sentence: str = "B2 refuses the request: {}.", hint: str = "") -> Build:
    return lambda _, text: CallerError(code, sentence.format(text), hint=hint)


def _operator(code: str, sentence: str = "B2 refuses the request: {}.", hint: str = "") -> Build:
    return lambda _, text: OperatorError(code, sentence.format(text), hint=hint)


def _passing(code: str, sentence: str = "B2: {}.") -> Build:
    return lambda _, text: PassingError(code, sentence.format(text))


def _internal(error: b2.B2Error, text: str) -> JobError:
    return InternalError(
        "b2sdk_unexpected", f"b2sdk raised {type(error).__name__}, which is not expected: {text}."
    )


def _service(error: b2.B2Error, text: str) -> JobError:
    # After a 503 nothing was done; after another 5xx nobody knows (retry.DOUBTFUL).
    return PassingError(
        "service_unavailable" if text.startswith("503") else "service_failed",
        f"B2 is not available: {text}.",
        wait=Wait("backoff", error.retry_after_seconds),
    )


def _rate_limited(error: b2.B2Error, _: str) -> JobError:
    return PassingError(
        "rate_limited",
        "B2 asks for fewer requests.",
        wait=Wait("rate_limited", error.retry_after_seconds),
    )


_not_found = _caller("file_not_found", "{}.", "Correct the name or the file id.")
_no_bucket = _caller("bucket_not_found", "{}.", "Create the bucket, or correct its name.")
_restricted = _operator(
    "bucket_not_allowed", "{}.", "Use a key for this bucket, or name another account."
)
_broken = _passing("connection_broken", "The connection to B2 broke: {}.")
_timeout = _passing("timeout", "B2 did not answer in time: {}.")
_mismatch = _passing("checksum_mismatch")
_parts = _passing("parts_incomplete", "B2 does not have every part as it was sent: {}.")
_unusable = _operator("account_unusable", "{}.", "See to the account on Backblaze's site.")
_denied = _operator("access_denied", "{}.", "Use a key that may do this.")
_name = _caller("name_refused", "{}.", "Choose another name for the file.")

_BY_NAME: dict[str, Build] = {
    # b2sdk raises these too but does not export them.
    "CopySourceTooBig": _caller("copy_source_too_large", "{}."),
    "FileOrBucketNotFound": _not_found,
    "ResourceNotFound": _not_found,
    "UploadTokenUsedConcurrently": lambda _, __: PassingError(
        "upload_url_busy", "An upload URL was used twice at the same time."
    ),
}

_TABLE: dict[type[BaseException], Build] = {
    # 4xx: the request
    b2.BadRequest: _caller("bad_request"),
    b2.BadJson: _caller("bad_request"),
    b2.BadFileInfo: _caller("bad_request"),
    b2.InvalidArgument: _caller("bad_request"),
    b2.UnrecognizedBucketType: _caller("bad_request"),
    b2.WrongEncryptionModeForBucketDefault: _caller("bad_request"),
    b2.WrongEncryptionSettingForFileWrite: _caller("bad_request"),
    b2.MaxFileSizeExceeded: _caller("source_too_large", "{}."),
    b2.CopyArgumentsMismatch: _caller("bad_request"),
    b2.InvalidMetadataDirective: _caller("bad_request"),
    b2.SSECKeyIdMismatchInCopy: _caller("bad_request"),
    b2.UnusableFileName: _name,
    b2.UnsupportedFilename: _name,
    b2.DuplicateBucketName: _caller(
        "bucket_name_taken", "{}.", "Bucket names are shared by all of B2: choose another."
    ),
    b2.FileNotPresent: _not_found,
    b2.FileAlreadyHidden: _caller("already_hidden", "{}."),
    b2.BucketIdNotFound: _no_bucket,
    b2.NonExistentBucket: _no_bucket,
    b2.UnsatisfiableRange: _caller("range_not_satisfiable", "{}.", "Ask for bytes the file has."),
    b2.InvalidRange: _caller("range_not_satisfiable", "{}."),
    b2.DisablingFileLockNotSupported: _caller("bad_request"),
    b2.SourceReplicationConflict: _caller("bad_request"),
    # 401 and 403: the key and the account
    b2.Unauthorized: _operator("unauthorized", hint="Use a key that may do this."),
    b2.InvalidAuthToken: _passing("token_refused"),
    b2.EmailNotVerified: _unusable,
    b2.NoPaymentHistory: _unusable,
    b2.AccessDenied: _denied,
    b2.SSECKeyError: _denied,
    b2.RetentionWriteError: _denied,
    b2.CapExceeded: _operator("cap_exceeded"),
    b2.StorageCapExceeded: _operator("storage_cap_exceeded"),
    b2.TransactionCapExceeded: _operator("transaction_cap_exceeded"),
    b2.NotAllowedByAppKeyError: _denied,
    b2.CapabilityNotAllowed: _operator("capability_missing", "{}."),
    b2.FileNameNotAllowed: _operator("name_not_allowed", "{}."),
    b2.BucketNotAllowed: _restricted,
    b2.RestrictedBucket: _restricted,
    b2.RestrictedBucketMissing: _restricted,
    b2.PotentialS3EndpointPassedAsRealm: _operator(
        "credentials_invalid",
        "The account's realm is an S3 address.",
        "Leave `realm` out of the secrets file, or give B2's native address.",
    ),
    b2.ClockSkew: _operator("clock_wrong", "{}.", "Set this machine's clock."),
    # what heals by itself
    b2.ServiceError: _service,
    b2.TooManyRequests: _rate_limited,
    b2.RequestTimeout: _timeout,
    b2.B2RequestTimeout: _timeout,
    b2.B2RequestTimeoutDuringUpload: _timeout,
    b2.B2ConnectionError: _broken,
    b2.ConnectionReset: _broken,
    b2.BrokenPipe: _broken,
    b2.UnknownHost: _broken,
    b2.TruncatedOutput: _broken,
    b2.BadUploadUrl: _passing("upload_url_refused"),
    b2.Conflict: _passing("conflict"),
    b2.ChecksumMismatch: _mismatch,
    b2.FileSha1Mismatch: _mismatch,
    b2.PartSha1Mismatch: _parts,
    b2.MissingPart: _parts,
    b2.InvalidJsonResponse: _passing("answer_unreadable"),
    b2.UnknownError: _passing("b2_unknown_error", "B2 answered something unknown: {}."),
    b2.UnexpectedCloudBehaviour: _passing("b2_unknown_error"),
    b2.BadDateFormat: _passing("answer_unreadable"),
    # raised only by parts of b2sdk that b2jobs does not use
    b2.B2Error: _internal,
    b2.B2SimpleError: _internal,
    b2.AccountInfoError: _internal,
    b2.AlreadyFailed: _internal,
    b2.B2HttpCallbackException: _internal,
    b2.B2HttpCallbackPostRequestException: _internal,
    b2.B2HttpCallbackPreRequestException: _internal,
    b2.CorruptAccountInfo: _internal,
    b2.DestFileNewer: _internal,
    b2.DestinationDirectoryDoesntAllowOperation: _internal,
    b2.DestinationDirectoryDoesntExist: _internal,
    b2.DestinationIsADirectory: _internal,
    b2.DestinationParentIsNotADirectory: _internal,
    b2.EmptyDirectory: _internal,
    b2.EnvironmentEncodingError: _internal,
    b2.IncompleteSync: _internal,
    b2.InvalidUploadSource: _internal,
    b2.MaxRetriesExceeded: _internal,
    b2.MissingAccountData: _internal,
    b2.NotADirectory: _internal,
    b2.UnableToCreateDirectory: _internal,
}
