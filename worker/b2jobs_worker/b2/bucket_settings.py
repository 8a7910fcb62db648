"""A bucket's settings in the words of requests, and in B2's and b2sdk's."""

from __future__ import annotations

from typing import Any

from b2sdk.v3 import (
    BucketRetentionSetting,
    EncryptionAlgorithm,
    EncryptionMode,
    EncryptionSetting,
    ReplicationConfiguration,
    RetentionMode,
    RetentionPeriod,
)

Settings = dict[str, Any]
CAPABILITIES = {
    "encryption": "writeBucketEncryption",
    "lock": "writeBucketRetentions",
    "retention": "writeBucketRetentions",
    "replication": "writeBucketReplications",
}
"""What changing a setting takes beside `writeBuckets`."""
_ARGUMENTS = {
    "type": "bucket_type",
    "lifecycle": "lifecycle_rules",
    "cors": "cors_rules",
    "info": "bucket_info",
    "lock": "is_file_lock_enabled",
}
_PERIODS = {"d": "days", "y": "years"}


def as_arguments(settings: Settings) -> dict[str, Any]:
    """*settings* as arguments of b2sdk's `create_bucket` and `update_bucket`."""
    made = {_ARGUMENTS[name]: settings[name] for name in _ARGUMENTS if name in settings}
    if "encryption" in settings:
        made["default_server_side_encryption"] = _encryption(settings["encryption"])
    if "retention" in settings:
        made["default_retention"] = _retention(settings["retention"])
    if "replication" in settings:
        made["replication"] = ReplicationConfiguration.from_dict(settings["replication"])
    return made


def read(document: dict[str, Any]) -> Settings:
    """B2's document of a bucket: all its settings; None for those that the key may not read."""
    lock, lock_known = _guarded(document, "fileLockConfiguration")
    encryption, encryption_known = _guarded(document, "defaultServerSideEncryption")
    replication, replication_known = _guarded(document, "replicationConfiguration")
    return {
        "type": document["bucketType"],
        "lifecycle": document.get("lifecycleRules") or [],
        "encryption": (encryption.get("mode") or "none") if encryption_known else None,
        "lock": bool(lock.get("isFileLockEnabled")) if lock_known else None,
        "retention": _retention_word(lock.get("defaultRetention") or {}) if lock_known else None,
        "cors": document.get("corsRules") or [],
        "replication": _told(replication) if replication_known else None,
        "info": document.get("bucketInfo") or {},
    }


def differing(found: Settings, wanted: Settings) -> list[str]:
    """The names of the settings in *wanted* that the bucket has otherwise; none: it agrees."""
    return [
        name for name in wanted if _comparable(name, found[name]) != _comparable(name, wanted[name])
    ]


def comparable_rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Notification rules by name, as they were asked for: without what B2 adds."""
    added = ("isSuspended", "suspensionReason")
    plain = [{name: rule[name] for name in rule if name not in added} for rule in rules]
    filled = [{"maxEventsPerBatch": 1, **rule} for rule in map(_told, plain)]
    return sorted(filled, key=lambda rule: str(rule.get("name")))


def _comparable(name: str, value: Any) -> Any:
    """Empty and missing are the same; the order counts where B2 goes by it (CORS)."""
    told = _told(value)
    if name == "lifecycle":
        return sorted(told or [], key=lambda rule: str(rule.get("fileNamePrefix", "")))
    if name == "replication" and told:
        rules = told.get("asReplicationSource", {}).get("replicationRules", [])
        rules.sort(key=lambda rule: str(rule.get("replicationRuleName")))
    return told or None


def _told(value: Any) -> Any:
    """*value* without the entries that say nothing."""
    if isinstance(value, list):
        return [_told(each) for each in value]
    if isinstance(value, dict):
        told = {name: _told(each) for name, each in value.items()}
        return {name: each for name, each in told.items() if each not in (None, [], {})}
    return value


def _guarded(document: dict[str, Any], name: str) -> tuple[dict[str, Any], bool]:
    """A setting that a key needs a capability to read, and whether this one has it."""
    held = document.get(name) or {}
    return held.get("value") or {}, bool(held.get("isClientAuthorizedToRead", True))


class _NoEncryption:
    """B2 takes `none` as a bucket's default; b2sdk's own setting for it says it may not be one."""

    mode = EncryptionMode.SSE_B2

    def serialize_to_json_for_request(self) -> dict[str, str]:
        return {"mode": "none"}


def _encryption(word: str) -> EncryptionSetting | _NoEncryption:
    if word == "none":
        return _NoEncryption()
    return EncryptionSetting(EncryptionMode.SSE_B2, EncryptionAlgorithm.AES256)


def _retention(word: str) -> BucketRetentionSetting:
    if word == "none":
        return BucketRetentionSetting(RetentionMode.NONE)
    mode, _, period = word.partition(":")
    length = RetentionPeriod(**{_PERIODS[period[-1]]: int(period[:-1])})
    return BucketRetentionSetting(RetentionMode(mode), length)


def _retention_word(retention: dict[str, Any]) -> str:
    period = retention.get("period")
    if not retention.get("mode") or not period:
        return "none"
    return f"{retention['mode']}:{period['duration']}{period['unit'][0]}"
