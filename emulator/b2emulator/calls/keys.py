"""Calls about application keys. Version 4 knows several buckets, the earlier ones one."""

from __future__ import annotations

import re
import time

from b2emulator.access import capabilities
from b2emulator.access.keys import Key
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.errors import bad_bucket_id, bad_request, unauthorized

MAX_VALID_SECONDS = 86_400_000
_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")


def _key_json(call: Call, key: Key) -> Json:
    shown: Json = {
        "accountId": call.emulator.account_id,
        "applicationKeyId": key.id,
        "capabilities": list(key.capabilities),
        "expirationTimestamp": key.expires_millis,
        "keyName": key.name,
        "namePrefix": key.name_prefix,
        "options": ["s3"],
    }
    buckets = list(key.bucket_ids) if key.bucket_ids is not None else None
    if call.api_version >= 4:
        shown["bucketIds"] = buckets
    else:
        shown["bucketId"] = buckets[0] if buckets else None
    return shown


@b2_call
def b2_create_key(call: Call) -> Json:
    """A new key, at most as strong as the caller's; its secret is shown here only."""
    call.check_account()
    grant, params = call.grant, call.params
    grant.require("writeKeys")
    name = params.text("keyName")
    if not _NAME.fullmatch(name):
        raise bad_request("keyName is 1 to 100 letters, digits and -")
    granted = params.texts("capabilities")
    if not granted:
        raise bad_request("required field capabilities is missing")
    for capability in granted:
        if capability not in capabilities.ALL:
            raise bad_request(f"Invalid capability: {capability}", "bad_request")
        if not grant.key.can(capability):
            raise unauthorized(f"unauthorized: the key cannot give {capability}, it lacks it")
    buckets = _buckets(call)
    prefix = params.optional_text("namePrefix")
    if buckets is not None and (kept := capabilities.ACCOUNT_ONLY & set(granted)):
        raise bad_request(f"{sorted(kept)[0]} is not for a key restricted to buckets")
    if prefix is not None and buckets is None:
        raise bad_request("namePrefix needs a bucket")
    expires = None
    if params.has("validDurationInSeconds"):
        seconds = params.number("validDurationInSeconds", None, 1, MAX_VALID_SECONDS)
        expires = int(time.time() * 1000) + seconds * 1000
    key = call.emulator.keys.create(name, tuple(granted), buckets, prefix, expires)
    return {**_key_json(call, key), "applicationKey": key.secret}


def _buckets(call: Call) -> tuple[str, ...] | None:
    if call.api_version >= 4:
        wanted = call.params.texts("bucketIds")
    else:
        one = call.params.optional_text("bucketId")
        wanted = None if one is None else [one]
    if wanted is None:
        return None
    if not wanted:
        raise bad_request("bucketIds must not be empty")
    for bucket_id in wanted:
        if call.emulator.buckets.by_id(bucket_id) is None:
            raise bad_bucket_id(bucket_id)
    return tuple(wanted)


@b2_call
def b2_list_keys(call: Call) -> Json:
    """Keys by id; the master key is not among them."""
    call.check_account()
    call.grant.require("listKeys")
    limit = call.params.number("maxKeyCount", 100, 0, 10_000) or 100
    start = call.params.optional_text("startApplicationKeyId") or ""
    keys = [key for key in call.emulator.keys.all() if key.id >= start and not key.has_expired()]
    call.entry.billed = max(1, -(-min(limit, len(keys)) // 1000))
    return {
        "keys": [_key_json(call, key) for key in keys[:limit]],
        "nextApplicationKeyId": keys[limit].id if len(keys) > limit else None,
    }


@b2_call
def b2_delete_key(call: Call) -> Json:
    """Remove a key; its tokens stop at once."""
    call.grant.require("deleteKeys")
    key_id = call.params.text("applicationKeyId")
    key = call.emulator.keys.find(key_id)
    if key is None or key is call.emulator.keys.master:
        raise bad_request(f"Invalid applicationKeyId: {key_id}")
    shown = _key_json(call, key)
    call.emulator.keys.remove(key)
    return shown
