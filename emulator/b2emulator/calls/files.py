"""Calls about single versions: look, hide, delete."""

from __future__ import annotations

from b2emulator.calls import locks
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.calls.shapes import file_json
from b2emulator.errors import B2Error, file_not_present, not_found
from b2emulator.names import check_file_name
from b2emulator.store.versions import HIDE, HIDE_MARKER_TYPE, Version


def shown(call: Call, version: Version) -> Json:
    bucket = call.emulator.buckets.by_id(version.bucket)
    return file_json(version, call.emulator.account_id, call.grant, bucket, call.api_version)


@b2_call
def b2_get_file_info(call: Call) -> Json:
    """One version by its id, hide markers and unfinished files included."""
    return shown(
        call, call.version("readFiles", missing=lambda i: not_found(f"File not present: {i}"))
    )


@b2_call
def b2_hide_file(call: Call) -> Json:
    """Add a hide marker. Raises no_such_file and already_hidden."""
    name = check_file_name(call.params.text("fileName"))
    bucket = call.bucket("writeFiles", name=name)
    call.entry.name = name
    newest = call.emulator.versions.newest(bucket.id, name)
    if newest is None:
        raise B2Error(400, "no_such_file", f"File not present: {name}")
    if newest.action == HIDE:
        raise B2Error(400, "already_hidden", f"Already hidden: {name}")
    marker = Version(bucket.id, name, HIDE, content_type=HIDE_MARKER_TYPE)
    version = call.emulator.versions.add(marker)
    call.note(version)
    return shown(call, version)


@b2_call
def b2_delete_file_version(call: Call) -> Json:
    """Remove one version, unless it is locked; an unfinished large file is cancelled."""
    name = call.params.text("fileName")
    call.entry.name = name
    version = call.version("deleteFiles", missing=lambda file_id: file_not_present(file_id, name))
    if version.name != name:
        raise file_not_present(version.file_id, name)
    bypass = bool(call.params.flag("bypassGovernance"))
    if bypass:
        call.grant.require("bypassGovernance")
    locks.check_deletable(version, call.grant, bypass)
    call.emulator.versions.remove(version)
    return {"fileId": version.file_id, "fileName": version.name}
