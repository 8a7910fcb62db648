"""A version of a file as JSON, in the shapes of the API's versions."""

from __future__ import annotations

from typing import Any

from b2emulator.access.grants import Grant
from b2emulator.calls import encryption, locks
from b2emulator.store.buckets import Bucket
from b2emulator.store.versions import HIDE, START, Version

Json = dict[str, Any]
SHA1_OF_NOTHING = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
NO_SHA1 = "none"
"""What B2 says for a large file, which has no SHA-1 of its own."""


def file_json(
    version: Version, account_id: str, grant: Grant, bucket: Bucket | None, api_version: int
) -> Json:
    """One version, as uploads, listings and b2_get_file_info show it.

    Lock and encryption came with v2, hide markers have neither; v1 has `size` beside
    `contentLength`.
    """
    shown: Json = {
        "accountId": account_id,
        "action": version.action,
        "bucketId": version.bucket,
        "contentLength": version.size,
        "contentMd5": version.md5,
        "contentSha1": version.sha1,
        "contentType": version.content_type,
        "fileId": version.file_id,
        "fileInfo": version.info,
        "fileName": version.name,
    }
    if version.action == HIDE:
        shown |= {"contentSha1": SHA1_OF_NOTHING, "contentMd5": MD5_OF_NOTHING}
    if api_version == 1:
        shown["size"] = version.size
    elif version.action != HIDE:
        shown |= locks.shown(version, grant)
        shown["replicationStatus"] = _replication_status(version, bucket)
        shown["serverSideEncryption"] = encryption.as_json(version.encryption)
    shown["uploadTimestamp"] = version.millis
    return shown


def _replication_status(version: Version, bucket: Bucket | None) -> str | None:
    """`pending` for ever where a rule asks for a copy; B2 makes none of SSE-C files."""
    is_secret = version.encryption is not None and version.encryption.mode == encryption.SSE_C
    wanted = bucket is not None and bucket.replicates(version.name) and not is_secret
    return "pending" if wanted else None


def folder_json(name: str, bucket_id: str, account_id: str, api_version: int) -> Json:
    """What stands for all the names below a folder."""
    shown: Json = {
        "accountId": account_id,
        "action": "folder",
        "bucketId": bucket_id,
        "contentLength": 0,
        "contentMd5": None,
        "contentSha1": None,
        "contentType": None,
        "fileId": None,
        "fileInfo": {},
        "fileName": name,
    }
    if api_version >= 2:
        hidden = {"isClientAuthorizedToRead": False, "value": None}
        shown |= {"fileRetention": hidden, "legalHold": hidden}
        shown["serverSideEncryption"] = encryption.as_json(None)
    else:
        shown["size"] = 0
    shown["uploadTimestamp"] = 0
    return shown


def is_unfinished(version: Version) -> bool:
    return version.action == START
