"""Calls about buckets."""

from __future__ import annotations

from typing import Any

from b2emulator.access.grants import Grant
from b2emulator.calls import rules
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.calls.params import MAX_INTEGER
from b2emulator.errors import B2Error, bad_request, missing_file_lock, unauthorized
from b2emulator.names import check_bucket_name, check_info_keys
from b2emulator.store.buckets import Bucket

TYPES = ("allPublic", "allPrivate")
LISTED_TYPES = (*TYPES, "snapshot", "restricted", "shared", "all")
MAX_INFO_ENTRIES = 10


def bucket_json(bucket: Bucket, grant: Grant, account_id: str, api_version: int) -> Json:
    """The bucket as B2 shows it to the holder of *grant*; what the key may not read is left out."""
    shown: Json = {
        "accountId": account_id,
        "bucketId": bucket.id,
        "bucketInfo": bucket.info,
        "bucketName": bucket.name,
        "bucketType": bucket.type,
        "corsRules": bucket.cors_rules,
        "lifecycleRules": bucket.lifecycle_rules,
        "options": bucket.options,
        "revision": bucket.revision,
    }
    if api_version == 1:
        return shown
    lock = {"defaultRetention": bucket.default_retention, "isFileLockEnabled": bucket.lock_enabled}
    readable = grant.key.can
    shown["defaultServerSideEncryption"] = _guarded(
        readable("readBucketEncryption"), bucket.encryption
    )
    shown["fileLockConfiguration"] = _guarded(readable("readBucketRetentions"), lock)
    shown["replicationConfiguration"] = _guarded(
        readable("readBucketReplications"), bucket.replication
    )
    return shown


def _guarded(readable: bool, value: Any) -> Json:
    return {"isClientAuthorizedToRead": readable, "value": value if readable else None}


def _shown(call: Call, bucket: Bucket) -> Json:
    return bucket_json(bucket, call.grant, call.emulator.account_id, call.api_version)


@b2_call
def b2_list_buckets(call: Call) -> Json:
    """Every bucket the key may see. A restricted key has to name its own."""
    call.check_account()
    grant, params = call.grant, call.params
    if not (grant.key.can("listBuckets") or grant.key.can("listAllBucketNames")):
        grant.require("listBuckets")
    bucket_id, name = params.optional_text("bucketId"), params.optional_text("bucketName")
    types = params.texts("bucketTypes") or ["all"]
    for wanted in types:
        if wanted not in LISTED_TYPES:
            raise bad_request(f"Invalid bucketType: {wanted}")
    buckets = [
        bucket
        for bucket in call.emulator.buckets.all()
        if (bucket_id is None or bucket.id == bucket_id)
        and (name is None or bucket.name.lower() == name.lower())
        and ("all" in types or bucket.type in types)
    ]
    if grant.key.bucket_ids is not None and not grant.key.can("listAllBucketNames"):
        named = {bucket.id for bucket in buckets} if name or bucket_id else set()
        if bucket_id and bucket_id not in grant.key.bucket_ids:
            raise unauthorized("unauthorized: the key is restricted to other buckets")
        if not (name or bucket_id) or not named <= set(grant.key.bucket_ids):
            raise unauthorized("unauthorized: a restricted key must name a bucket of its own")
        if name and not named:
            raise unauthorized("unauthorized: the key is restricted to other buckets")
    return {"buckets": [_shown(call, b) for b in buckets if grant.may_see(b)]}


@b2_call
def b2_create_bucket(call: Call) -> Json:
    """A new bucket; names are unique without case."""
    call.check_account()
    grant, params = call.grant, call.params
    grant.require("writeBuckets")
    if grant.key.bucket_ids is not None:
        raise unauthorized("unauthorized: a key restricted to buckets cannot create one")
    name = check_bucket_name(params.text("bucketName"))
    settings = _settings(call)
    settings["type"] = _bucket_type(params.text("bucketType"))
    if params.flag("fileLockEnabled"):
        grant.require("writeBucketRetentions")
        settings["lock_enabled"] = True
    table = call.emulator.buckets
    if table.by_name(name) is not None:
        raise B2Error(400, "duplicate_bucket_name", "Bucket name is already in use.")
    if len(table.all()) >= call.emulator.settings.max_bucket_count:
        raise B2Error(400, "too_many_buckets", "The account has as many buckets as it may have")
    call.entry.bucket = name
    return _shown(call, table.create(name, **settings))


@b2_call
def b2_update_bucket(call: Call) -> Json:
    """Change settings; `ifRevisionIs` makes it conditional (409 conflict otherwise)."""
    call.check_account()
    bucket = call.bucket("writeBuckets")
    params = call.params
    if params.has("ifRevisionIs"):
        expected = params.number("ifRevisionIs", None, 0, MAX_INTEGER)
        if expected != bucket.revision:
            raise B2Error(409, "conflict", "simultaneous updates to bucket")
    settings = _settings(call)
    if params.has("bucketType"):
        settings["type"] = _bucket_type(params.text("bucketType"))
    lock = params.flag("fileLockEnabled")
    if lock is not None:
        settings["lock_enabled"] = _lock(call, bucket, lock)
    if params.has("defaultRetention"):
        call.grant.require("writeBucketRetentions")
        retention = rules.default_retention(params.object("defaultRetention") or {})
        if not settings.get("lock_enabled", bucket.lock_enabled) and retention["mode"]:
            raise missing_file_lock()
        settings["default_retention"] = retention
    return _shown(call, call.emulator.buckets.change(bucket, **settings))


def _lock(call: Call, bucket: Bucket, wanted: bool) -> bool:
    call.grant.require("writeBucketRetentions")
    if bucket.lock_enabled and not wanted:
        raise B2Error(400, "file_lock_conflict", "File lock cannot be disabled once it is enabled.")
    if wanted and bucket.type == "restricted":
        raise B2Error(400, "restricted_bucket_conflict", "A restricted bucket takes no file lock.")
    source = (bucket.replication or {}).get("asReplicationSource")
    if wanted and not bucket.lock_enabled and source:
        raise B2Error(
            *(400, "source_replication_conflict"),
            "File lock cannot be enabled on the source of a replication.",
        )
    return wanted


def _settings(call: Call) -> dict[str, Any]:
    """Settings that creating and updating have in common, checked."""
    params, settings = call.params, dict[str, Any]()
    if (info := params.object("bucketInfo")) is not None:
        if len(info) > MAX_INFO_ENTRIES or not all(isinstance(v, str) for v in info.values()):
            raise bad_request("bucketInfo is at most 10 strings")
        check_info_keys(info)
        settings["info"] = info
    if (cors := params.objects("corsRules")) is not None:
        settings["cors_rules"] = rules.cors(cors)
    if (lifecycle := params.objects("lifecycleRules")) is not None:
        settings["lifecycle_rules"] = rules.lifecycle(lifecycle)
    if (encryption := params.object("defaultServerSideEncryption")) is not None:
        call.grant.require("writeBucketEncryption")
        settings["encryption"] = rules.default_encryption(encryption)
    if (replication := params.object("replicationConfiguration")) is not None:
        call.grant.require("writeBucketReplications")
        settings["replication"] = rules.replication(replication)
    return settings


def _bucket_type(text: str) -> str:
    if text not in TYPES:
        raise bad_request(f"Invalid bucketType: {text}")
    return text


@b2_call
def b2_delete_bucket(call: Call) -> Json:
    """Only when nothing is in it, not even a hide marker or an unfinished file."""
    call.check_account()
    bucket = call.bucket("deleteBuckets")
    if not call.emulator.versions.bucket_is_empty(bucket.id):
        raise B2Error(400, "cannot_delete_non_empty_bucket", "Cannot delete non-empty bucket")
    shown = _shown(call, bucket)
    call.emulator.buckets.remove(bucket)
    return {**shown, "revision": bucket.revision + 1}
