"""What an account's key may do."""

from __future__ import annotations

from b2jobs.errors import OperatorError
from b2jobs.requests import Check
from b2jobs.results import CheckResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.transfer.context import Context, Usage

NEEDS: dict[str, tuple[str, ...]] = {
    "upload": ("writeFiles",),
    "download": ("readFiles",),
    "copy": ("readFiles", "writeFiles"),
    "move": ("listFiles", "readFiles", "writeFiles", "deleteFiles"),
    "hide": ("writeFiles",),
    "unhide": ("listFiles", "deleteFiles"),
    "retention": ("readFiles", "writeFileRetentions"),
    "hold": ("readFiles", "writeFileLegalHolds"),
    "delete": ("listFiles", "deleteFiles"),
    "sync": ("listFiles", "readFiles", "writeFiles", "deleteFiles"),
    "bucket": ("listBuckets", "writeBuckets", "deleteBuckets"),
    "share": ("shareFiles",),
}
"""Capabilities that a kind of job needs for all that it can be asked to do."""

_BY_BUCKET_NAME = (
    *("upload", "copy", "move", "hide", "unhide", "retention", "hold", "delete", "sync", "share"),
)


def check_key(request: Check, attempt: Attempt, context: Context) -> CheckResult:
    """Ask B2 what the key may do, and say which kinds of job that is too little for.

    Raises:
        OperatorError: `credentials_missing`, `credentials_invalid`; at once, since waiting for
            a better key would be no answer.
        CallerError: `account_unknown`.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    try:
        account = client.account()
    except OperatorError as error:
        error.wait = None
        raise
    buckets = account.allowed_buckets
    cannot: dict[str, list[str]] = {}
    for kind, needed in NEEDS.items():
        # A restricted key tells the ids of its buckets; another one has to ask for them.
        ask = ("listBuckets",) if buckets is None and kind in _BY_BUCKET_NAME else ()
        missing = {*needed, *ask} - account.capabilities
        if missing:
            cannot[kind] = sorted(missing)
    return CheckResult(
        **usage.fields("check"),
        account=request.account,
        key_id=account.credential.key_id,
        realm=account.credential.realm,
        capabilities=sorted(account.capabilities),
        buckets=None if buckets is None else [each.name for each in buckets],
        name_prefix=account.name_prefix,
        cannot=cannot,
        expires_at=account.key_expires,
        signatures_required=context.settings.require_signature,
    )
