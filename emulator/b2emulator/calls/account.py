"""b2_authorize_account, whose answer has four shapes."""

from __future__ import annotations

import base64
import binascii
import time

from b2emulator.access.keys import Key
from b2emulator.access.tokens import ACCOUNT
from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.errors import B2Error, bad_auth_token, unauthorized


@b2_call
def b2_authorize_account(call: Call) -> Json:
    """A token for 24 hours, or until the key expires.

    v1 and v2 are flat, v3 groups by API and knows one bucket, v4 has `allowed`
    again, with several buckets.
    """
    emulator, settings = call.emulator, call.emulator.settings
    key = _key_of(call)
    call.entry.key_id = key.id
    seconds = float(settings.account_token_seconds)
    if key.expires_millis is not None:
        seconds = min(seconds, key.expires_millis / 1000 - time.time())
    token = emulator.tokens.make(ACCOUNT, seconds, key=key.id)
    urls: Json = {
        "apiUrl": call.base_url,
        "downloadUrl": call.base_url,
        "s3ApiUrl": f"{call.base_url}/s3-is-not-served-here",
        "recommendedPartSize": settings.recommended_part_size_bytes,
        "absoluteMinimumPartSize": settings.min_part_size_bytes,
    }
    answer: Json = {"accountId": emulator.account_id, "authorizationToken": token}
    if call.api_version >= 3:
        storage = {"infoType": "storageApi", **urls, **_allowed(call, key)}
        return {
            **answer,
            "applicationKeyExpirationTimestamp": key.expires_millis,
            "apiInfo": {"storageApi": storage},
        }
    answer |= {**urls, "allowed": _one_bucket(call, key)}
    if call.api_version == 1:
        answer["minimumPartSize"] = settings.recommended_part_size_bytes
    return answer


def _key_of(call: Call) -> Key:
    scheme, _, encoded = (call.authorization or "").partition(" ")
    if scheme != "Basic":
        raise bad_auth_token("b2_authorize_account needs Basic authorization")
    try:
        key_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise bad_auth_token("Basic authorization is malformed") from None
    key = call.emulator.keys.with_secret(key_id, secret)
    if key is None:
        raise B2Error(
            *(401, "bad_auth_token", ""),
            challenge='BASIC realm="authorize_account"',
        )
    if key.has_expired():
        raise unauthorized("The application key has expired")
    return key


def _allowed(call: Call, key: Key) -> Json:
    if call.api_version == 3:
        return _one_bucket(call, key)
    buckets = None
    if key.bucket_ids is not None:
        found = [(i, call.emulator.buckets.by_id(i)) for i in key.bucket_ids]
        buckets = [{"id": i, "name": bucket.name if bucket else None} for i, bucket in found]
    return {
        "allowed": {
            "buckets": buckets,
            "capabilities": list(key.capabilities),
            "namePrefix": key.name_prefix,
        }
    }


def _one_bucket(call: Call, key: Key) -> Json:
    if key.bucket_ids is not None and len(key.bucket_ids) > 1:
        raise unauthorized("A key for several buckets needs version 4 of the API")
    bucket_id = key.bucket_ids[0] if key.bucket_ids else None
    bucket = call.emulator.buckets.by_id(bucket_id) if bucket_id else None
    return {
        "bucketId": bucket_id,
        "bucketName": bucket.name if bucket else None,
        "capabilities": list(key.capabilities),
        "namePrefix": key.name_prefix,
    }
