"""Retention and legal hold: taken, stored, and in the way of deleting."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from b2emulator.access.grants import Grant
from b2emulator.calls.call import Call, b2_call
from b2emulator.calls.params import digits
from b2emulator.errors import (
    B2Error,
    access_denied,
    bad_request,
    file_not_present,
    locked,
    missing_file_lock,
)
from b2emulator.file_ids import MAX_MILLIS
from b2emulator.store.buckets import Bucket
from b2emulator.store.versions import HIDE, Version

Json = dict[str, Any]
GOVERNANCE, COMPLIANCE = "governance", "compliance"
MODE_HEADER = "x-bz-file-retention-mode"
UNTIL_HEADER = "x-bz-file-retention-retain-until-timestamp"
HOLD_HEADER = "x-bz-file-legal-hold"
DAY_MILLIS = 86_400_000


def now_millis() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Lock:
    """Retention and hold of one version; all None is no lock."""

    mode: str | None = None
    until: int | None = None
    hold: str | None = None


def from_headers(headers: Mapping[str, str], bucket: Bucket, grant: Grant) -> Lock:
    """The lock an upload asks for, or the bucket's default."""
    mode, until = headers.get(MODE_HEADER), headers.get(UNTIL_HEADER)
    retention = None
    if mode is not None or until is not None:
        millis = None if until is None else digits(until, UNTIL_HEADER, MAX_MILLIS)
        retention = {"mode": mode, "retainUntilTimestamp": millis}
    return wanted(retention, headers.get(HOLD_HEADER), bucket, grant)


def wanted(retention: Json | None, hold: str | None, bucket: Bucket, grant: Grant) -> Lock:
    """A checked lock for a new version; the bucket's default where nothing is asked."""
    if hold is not None:
        grant.require("writeFileLegalHolds")
    if retention is not None:
        grant.require("writeFileRetentions")
    if (retention is not None or hold is not None) and not bucket.lock_enabled:
        raise missing_file_lock()
    if hold not in (None, "on", "off"):
        raise bad_request(f"Invalid legalHold: {hold}")
    if retention is None:
        mode, until = _default(bucket)
        return Lock(mode, until, hold)
    mode, until = check_retention(retention)
    return Lock(mode, until, hold)


def check_retention(retention: Json) -> tuple[str | None, int | None]:
    """(mode, until) of a request."""
    mode, until = retention.get("mode"), retention.get("retainUntilTimestamp")
    if mode is None:
        if until is not None:
            raise bad_request("retainUntilTimestamp needs a mode")
        return None, None
    if mode not in (GOVERNANCE, COMPLIANCE):
        raise bad_request(f"Invalid retention mode: {mode}")
    if isinstance(until, bool) or not isinstance(until, int) or until > MAX_MILLIS:
        raise bad_request("retainUntilTimestamp must be a time in milliseconds")
    if until <= now_millis():
        raise B2Error(
            *(400, "retain_until_timestamp_must_be_in_future"),
            "The retainUntilTimestamp must be in future",
        )
    return mode, until


def _default(bucket: Bucket) -> tuple[str | None, int | None]:
    mode, period = bucket.default_retention["mode"], bucket.default_retention["period"]
    if not bucket.lock_enabled or mode is None:
        return None, None
    days = period["duration"] * (365 if period["unit"] == "years" else 1)
    return mode, now_millis() + days * DAY_MILLIS


def check_deletable(version: Version, grant: Grant, bypass: bool) -> None:
    """Raises 401 access_denied when a lock forbids to delete *version*."""
    if version.legal_hold == "on":
        raise locked()
    if version.retention_mode is None or (version.retain_until or 0) <= now_millis():
        return
    allowed = bypass and version.retention_mode == GOVERNANCE
    if not allowed or not grant.key.can("bypassGovernance"):
        raise locked()


def shown(version: Version, grant: Grant) -> Json:
    """fileRetention and legalHold as the holder of *grant* may see them."""
    key = grant.key
    reads, holds = key.can("readFileRetentions"), key.can("readFileLegalHolds")
    return {
        "fileRetention": {
            "isClientAuthorizedToRead": reads,
            "value": _value(version.retention_mode, version.retain_until) if reads else None,
        },
        "legalHold": {
            "isClientAuthorizedToRead": holds,
            "value": version.legal_hold if holds else None,
        },
    }


def _value(mode: str | None, until: int | None) -> Json:
    return {"mode": mode, "retainUntilTimestamp": until}


def as_headers(version: Version, grant: Grant | None) -> dict[str, str]:
    """The headers of a download; what the caller may not read is named instead."""
    headers: dict[str, str] = {}
    hidden: list[str] = []
    key = grant.key if grant else None
    if version.retention_mode is not None:
        if key is not None and key.can("readFileRetentions"):
            headers["X-Bz-File-Retention-Mode"] = version.retention_mode
            headers["X-Bz-File-Retention-Retain-Until-Timestamp"] = str(version.retain_until)
        else:
            hidden += [
                "X-Bz-File-Retention-Mode",
                "X-Bz-File-Retention-Retain-Until-Timestamp",
            ]
    if version.legal_hold is not None:
        if key is not None and key.can("readFileLegalHolds"):
            headers["X-Bz-File-Legal-Hold"] = version.legal_hold
        else:
            hidden.append("X-Bz-File-Legal-Hold")
    if hidden:
        headers["X-Bz-Client-Unauthorized-To-Read"] = ",".join(hidden)
    return headers


def _locked_file(call: Call, capability: str) -> Version:
    if not call.grant.key.can(capability):
        raise access_denied()  # 403 here, where other calls without a capability get a 401
    name = call.params.text("fileName")
    version = call.version(capability, missing=lambda file_id: file_not_present(file_id, name))
    bucket = call.emulator.buckets.by_id(version.bucket)
    if bucket is None or not bucket.lock_enabled:
        raise missing_file_lock()
    if version.name != name or version.action == HIDE:
        raise file_not_present(version.file_id, name)
    return version


@b2_call
def b2_update_file_retention(call: Call) -> Json:
    """Change retention. Governance is weakened only with bypassGovernance, compliance never."""
    version = _locked_file(call, "writeFileRetentions")
    mode, until = check_retention(call.params.object("fileRetention") or {})
    bypass = bool(call.params.flag("bypassGovernance"))
    if bypass and not call.grant.key.can("bypassGovernance"):
        raise access_denied()
    active = version.retention_mode is not None and (version.retain_until or 0) > now_millis()
    weaker = (until or 0) < (version.retain_until or 0) or (
        mode not in (version.retention_mode, COMPLIANCE)
    )
    if active and weaker and not (bypass and version.retention_mode == GOVERNANCE):
        raise access_denied(f"The file is retained in {version.retention_mode} mode")
    call.emulator.versions.change(replace(version, retention_mode=mode, retain_until=until))
    return {
        "fileId": version.file_id,
        "fileName": version.name,
        "fileRetention": _value(mode, until),
    }


@b2_call
def b2_update_file_legal_hold(call: Call) -> Json:
    """Put a hold on a file or lift it."""
    version = _locked_file(call, "writeFileLegalHolds")
    hold = call.params.text("legalHold")
    if hold not in ("on", "off"):
        raise bad_request(f"Invalid legalHold: {hold}")
    call.emulator.versions.change(replace(version, legal_hold=hold))
    return {"fileId": version.file_id, "fileName": version.name, "legalHold": hold}
