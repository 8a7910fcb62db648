"""Server-side encryption as clients see it: settings taken, reported, and asked for again.

Nothing is encrypted on disk. Of an SSE-C key only the MD5 is kept, which is what
B2 reports too; reading needs the same key again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from b2emulator.errors import access_denied, bad_request
from b2emulator.store.versions import Encryption

Json = dict[str, Any]
SSE_B2, SSE_C, ALGORITHM = "SSE-B2", "SSE-C", "AES256"
HEADER = "x-bz-server-side-encryption"
CUSTOMER = f"{HEADER}-customer-"


def from_headers(headers: Mapping[str, str]) -> Encryption | None:
    """What an upload or a download asks for; None when it asks for nothing."""
    mode = headers.get(HEADER)
    customer = [headers.get(CUSTOMER + name) for name in ("algorithm", "key", "key-md5")]
    has_customer = any(value is not None for value in customer)
    if mode is None:
        return _customer(*customer) if has_customer else None
    if mode != ALGORITHM:
        raise bad_request(f"{HEADER} must be {ALGORITHM}")
    if has_customer:
        raise bad_request(f"{SSE_B2} and {SSE_C} exclude each other")
    return Encryption(SSE_B2)


def from_json(setting: Json | None) -> Encryption | None:
    """The same from a JSON body."""
    if setting is None or setting.get("mode") in (None, "none"):
        return None
    mode, algorithm = setting.get("mode"), setting.get("algorithm")
    if mode == SSE_B2 and algorithm == ALGORITHM:
        return Encryption(SSE_B2)
    if mode == SSE_C:
        return _customer(algorithm, setting.get("customerKey"), setting.get("customerKeyMd5"))
    raise bad_request(f"serverSideEncryption is {SSE_B2} or {SSE_C} with {ALGORITHM}")


def _customer(algorithm: object, key: object, key_md5: object) -> Encryption:
    if algorithm != ALGORITHM:
        raise bad_request(f"the customer algorithm must be {ALGORITHM}")
    try:
        secret = base64.b64decode(str(key), validate=True)
    except ValueError:  # binascii.Error, and characters that are not ASCII
        raise bad_request("the customer key is not base64") from None
    if len(secret) != 32:
        raise bad_request("the customer key must have 256 bits")
    digest = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode()
    if digest != key_md5:
        raise bad_request("the customer key does not match its MD5")
    return Encryption(SSE_C, digest)


def bucket_default(setting: Json) -> Encryption | None:
    return Encryption(SSE_B2) if setting.get("mode") == SSE_B2 else None


def check_readable(stored: Encryption | None, given: Encryption | None) -> None:
    """Reading an SSE-C file takes its key; giving a key for another file is an error too."""
    if stored is not None and stored.mode == SSE_C:
        if given is None or given.mode != SSE_C:
            raise bad_request(
                "The object was stored using a form of Server Side Encryption. The correct"
                " parameters must be provided to retrieve the object."
            )
        if given.key_md5 != stored.key_md5:
            raise access_denied("The SSE-C key is not the one the file was encrypted with")
    elif given is not None and given.mode == SSE_C:
        raise bad_request("The file is not encrypted with SSE-C")


def check_part(started: Encryption | None, given: Encryption | None) -> None:
    """A part of an SSE-C file carries the same key; of others none."""
    wanted = started if started is not None and started.mode == SSE_C else None
    given = given if given is not None and given.mode == SSE_C else None
    if wanted != given:
        raise bad_request("the part's SSE-C key is not that of its file")


def as_json(encryption: Encryption | None) -> Json:
    if encryption is None:
        return {"algorithm": None, "mode": None}
    shown: Json = {"algorithm": ALGORITHM, "mode": encryption.mode}
    if encryption.key_md5 is not None:
        shown["customerKeyMd5"] = encryption.key_md5
    return shown


def as_headers(encryption: Encryption | None) -> dict[str, str]:
    if encryption is None:
        return {}
    if encryption.mode == SSE_B2:
        return {"X-Bz-Server-Side-Encryption": ALGORITHM}
    return {
        "X-Bz-Server-Side-Encryption-Customer-Algorithm": ALGORITHM,
        "X-Bz-Server-Side-Encryption-Customer-Key-Md5": encryption.key_md5 or "",
    }
