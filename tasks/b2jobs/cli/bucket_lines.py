"""A bucket's settings for people: a line or a few for each."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
_TYPES = {"allPrivate": "private", "allPublic": "public"}
_DAYS = (
    ("daysFromUploadingToHiding", "hidden {} after the upload"),
    ("daysFromHidingToDeleting", "deleted {} after being hidden"),
    ("daysFromStartingToCancelingUnfinishedLargeFiles", "unfinished ones cancelled after {}"),
)
_UNITS = {"d": "day", "y": "year"}


def lines(bucket: Json) -> list[tuple[str, str]]:
    """Name and text of each setting; further lines of one setting have no name."""
    unreadable = bucket.get("unreadable", [])
    rows = [
        ("bucket", [f"{bucket.get('name', '')} ({_type(bucket)})"]),
        ("id", [str(bucket.get("id", ""))]),
        ("revision", [str(bucket.get("revision", ""))]),
        ("lifecycle", [_lifecycle(rule) for rule in bucket.get("lifecycle") or ()]),
        ("encryption", [str(bucket.get("encryption"))]),
        ("lock", ["on" if bucket.get("lock") else "off"]),
        ("retention", [_retention(str(bucket.get("retention") or "none"))]),
        ("cors", [_cors(rule) for rule in bucket.get("cors") or ()]),
        ("replication", _replication(bucket.get("replication") or {})),
        ("notifications", [_notification(rule) for rule in bucket.get("notifications") or ()]),
        ("info", [f"{name}: {text}" for name, text in (bucket.get("info") or {}).items()]),
    ]
    if "notifications" not in bucket and "notifications" not in unreadable:
        rows = [row for row in rows if row[0] != "notifications"]
    told: list[tuple[str, str]] = []
    for name, found in rows:
        texts = ["(the key may not read it)"] if name in unreadable else found or ["none"]
        told.extend((name if at == 0 else "", text) for at, text in enumerate(texts))
    return told


def _type(bucket: Json) -> str:
    kind = str(bucket.get("type", ""))
    return _TYPES.get(kind, kind)


def _lifecycle(rule: Json) -> str:
    acts = [text.format(_many(int(rule[days]), "day")) for days, text in _DAYS if rule.get(days)]
    return f"{_below(rule.get('fileNamePrefix'))}: {', '.join(acts)}"


def _retention(word: str) -> str:
    mode, colon, period = word.partition(":")
    return f"{mode} for {_many(int(period[:-1]), _UNITS[period[-1]])}" if colon else word


def _cors(rule: Json) -> str:
    return (
        f"{rule.get('corsRuleName')}: {', '.join(rule.get('allowedOrigins') or ())} may "
        f"{', '.join(rule.get('allowedOperations') or ())} "
        f"(asked again after {rule.get('maxAgeSeconds')} s)"
    )


def _replication(found: Json) -> list[str]:
    source = found.get("asReplicationSource") or {}
    told = [
        f"{rule.get('replicationRuleName')}: {_below(rule.get('fileNamePrefix'))} to bucket "
        f"{rule.get('destinationBucketId')}, priority {rule.get('priority')}{_off(rule)}"
        for rule in source.get("replicationRules") or ()
    ]
    if source:
        told.append(f"reads with key {source.get('sourceApplicationKeyId')}")
    keys = (found.get("asReplicationDestination") or {}).get("sourceToDestinationKeyMapping") or {}
    return [*told, *(f"takes from key {key}, writes with {own}" for key, own in keys.items())]


def _notification(rule: Json) -> str:
    target = rule.get("targetConfiguration") or {}
    signed = ", signed" if target.get("hmacSha256SigningSecret") else ""
    suspended = f", SUSPENDED: {rule.get('suspensionReason')}" if rule.get("isSuspended") else ""
    return (
        f"{rule.get('name')}: {', '.join(rule.get('eventTypes') or ())} of "
        f"{_below(rule.get('objectNamePrefix'))} to {target.get('url')}{signed}{_off(rule)}"
        f"{suspended}"
    )


def _off(rule: Json) -> str:
    return "" if rule.get("isEnabled", True) else ", off"


def _below(prefix: object) -> str:
    return f"{prefix}*" if prefix else "all files"


def _many(count: int, unit: str) -> str:
    return f"{count:,} {unit}" + ("" if count == 1 else "s")
