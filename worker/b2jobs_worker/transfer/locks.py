"""Change the retention of a version, or its legal hold."""

from __future__ import annotations

import json

from b2jobs.errors import OperatorError
from b2jobs.locations import B2File, B2Version
from b2jobs.requests import Hold, Retention
from b2jobs.results import LockResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2 import protection
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.transfer.protection import retention_of

_WANTED = "wanted"


def retention(request: Retention, attempt: Attempt, context: Context) -> LockResult:
    """Give the version the retention that the request names; `unchanged` where it has it.

    The version and the end of `retain_for` are those of the first attempt.

    Raises:
        CallerError: `file_not_found`, `retention_past`, `lock_not_enabled`.
        OperatorError: `retention_kept`: compliance can only be made longer, governance only with
            bypass_governance shorter; `capability_missing`.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    bypass = ("bypassGovernance",) if request.bypass_governance else ()
    client.require("readFiles", "writeFileRetentions", *bypass, name=_name(request.target_location))
    version, again = _target(client, attempt, request.target_location)
    wanted = _wanted(request, client, attempt)
    is_known = "retention" not in version.untold
    if is_known and version.retained == wanted:
        status = "changed" if again else "unchanged"
    else:
        _refuse_weaker(version, wanted, bypass=request.bypass_governance)
        attempt.guard()
        try:
            client.update_retention(version, wanted, bypass_governance=request.bypass_governance)
        except OperatorError as error:
            if error.code == "access_denied":
                raise _kept(version, bypass=request.bypass_governance) from error
            raise
        status = "changed"
    return LockResult(
        **usage.fields("retention"),
        uri=request.target,
        file_id=version.file_id,
        name=version.name,
        retention=wanted.mode if wanted else "none",
        retain_until=wanted.until if wanted else None,
        status=status,
    )


def hold(request: Hold, attempt: Attempt, context: Context) -> LockResult:
    """Put the version under a legal hold, or lift it; `unchanged` where it is so.

    Raises:
        CallerError: `file_not_found`, `lock_not_enabled`.
        OperatorError: `capability_missing`
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    client.require("readFiles", "writeFileLegalHolds", name=_name(request.target_location))
    version, again = _target(client, attempt, request.target_location)
    is_so = "legal_hold" not in version.untold and version.is_held == request.on
    if not is_so:
        attempt.guard()
        client.update_legal_hold(version, on=request.on)
    return LockResult(
        **usage.fields("hold"),
        uri=request.target,
        file_id=version.file_id,
        name=version.name,
        legal_hold=request.on,
        status="unchanged" if is_so and not again else "changed",
    )


def _name(location: B2File | B2Version) -> str | None:
    return location.name if isinstance(location, B2File) else None


def _target(
    client: B2Client, attempt: Attempt, location: B2File | B2Version
) -> tuple[FileVersion, bool]:
    """The version that is meant, and whether an earlier attempt may have changed it.

    A file's newest version as it was at the first attempt, as far as it is still there.
    """
    noted = json.loads(attempt.journal.load().get("version", '""')) if attempt.number > 1 else ""
    version = client.version(noted) if noted else None
    if isinstance(location, B2Version):
        found = client.version(location.file_id)
    else:
        bucket = client.bucket(location.bucket)
        is_of_it = version is not None and (
            (version.name, version.bucket_id) == (location.name, bucket.bucket_id)
        )
        latest = None if is_of_it else client.latest(bucket, location.name)
        # HEAD tells neither the bucket nor, to everybody, the lock.
        found = version if is_of_it else client.version(latest.file_id) if latest else None
    if found is None or found.action != "upload":
        raise file_not_found(str(location))
    if not noted:
        attempt.journal.record({"version": json.dumps(found.file_id)})
    return found, bool(noted)


def _wanted(request: Retention, client: B2Client, attempt: Attempt) -> protection.Retention | None:
    noted = attempt.journal.load().get(_WANTED) if attempt.number > 1 else None
    if noted and request.retention != "none":
        return protection.Retention(request.retention, int(noted))
    wanted = retention_of(request, client)
    if wanted is not None:
        attempt.journal.record({_WANTED: str(wanted.until_millis)})
    return wanted


def _refuse_weaker(
    version: FileVersion, wanted: protection.Retention | None, *, bypass: bool
) -> None:
    there = version.retained
    if there is None or (bypass and there.can_be_lifted):
        return
    is_weaker = (
        wanted is None
        or wanted.until_millis < there.until_millis
        or (wanted.can_be_lifted and not there.can_be_lifted)
    )
    if is_weaker:
        raise _kept(version, bypass=bypass)


def _kept(version: FileVersion, *, bypass: bool) -> OperatorError:
    there = version.retained
    compliance = there is not None and not there.can_be_lifted
    return OperatorError(
        "retention_kept",
        f"{version.name} is retained, {there or 'as its bucket says'}: that is not made weaker.",
        hint="A compliance retention can only be made longer, by anybody."
        if compliance
        else "With bypass_governance and a key that has bypassGovernance it can be."
        if not bypass
        else "Ask for a later end.",
    )
