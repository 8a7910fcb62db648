"""The listings of a bucket."""

from __future__ import annotations

from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.calls.shapes import file_json, folder_json
from b2emulator.errors import bad_file_id, bad_request, unauthorized
from b2emulator.file_ids import order_of
from b2emulator.store.buckets import Bucket
from b2emulator.store.listing import Entry, Folder, Page, Wanted

MAX_ENTRIES = 10_000
DEFAULT_ENTRIES = 100


def _wanted(call: Call) -> tuple[Bucket, Wanted]:
    bucket = call.bucket("listFiles")
    params = call.params
    prefix = params.optional_text("prefix") or ""
    delimiter = params.optional_text("delimiter") or None
    if not call.grant.key.may_use_name(prefix):
        raise unauthorized(f"unauthorized: the prefix must start with {call.grant.key.name_prefix}")
    limit = params.number("maxFileCount", DEFAULT_ENTRIES, 0, MAX_ENTRIES) or DEFAULT_ENTRIES
    return bucket, Wanted(
        bucket=bucket.id,
        prefix=prefix,
        delimiter=delimiter,
        start_name=params.optional_text("startFileName") or "",
        limit=limit,
    )


def _shown(call: Call, bucket: Bucket, page: Page) -> list[Json]:
    account, version = call.emulator.account_id, call.api_version
    call.entry.billed = max(1, -(-len(page.entries) // 1000))
    return [
        folder_json(entry.name, bucket.id, account, version)
        if isinstance(entry, Folder)
        else file_json(entry, account, call.grant, bucket, version)
        for entry in page.entries
    ]


def _name(entry: Entry | None) -> str | None:
    return entry.name if entry is not None else None


@b2_call
def b2_list_file_names(call: Call) -> Json:
    """The visible version of each name from startFileName on."""
    bucket, wanted = _wanted(call)
    page = call.emulator.listings.names(wanted)
    return {"files": _shown(call, bucket, page), "nextFileName": _name(page.following)}


@b2_call
def b2_list_file_versions(call: Call) -> Json:
    """All versions, newest first within a name, from (startFileName, startFileId) on."""
    bucket, wanted = _wanted(call)
    start_id = call.params.optional_text("startFileId") or None
    if start_id is not None:
        if not call.params.has("startFileName"):
            raise bad_request("startFileId needs startFileName")
        if order_of(start_id) is None:
            raise bad_file_id("startFileId", start_id)
        wanted = Wanted(**{**_fields(wanted), "start_id": start_id})
    page = call.emulator.listings.versions(wanted)
    following = page.following
    return {
        "files": _shown(call, bucket, page),
        "nextFileName": _name(following),
        "nextFileId": None
        if following is None or isinstance(following, Folder)
        else following.file_id,
    }


def _fields(wanted: Wanted) -> Json:
    return {name: getattr(wanted, name) for name in wanted.__slots__}
