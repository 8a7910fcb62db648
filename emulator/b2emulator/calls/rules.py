"""Bucket settings as B2 checks them: lifecycle, CORS, encryption, retention."""

from __future__ import annotations

from collections.abc import Set
from itertools import pairwise
from typing import Any

from b2emulator.calls.params import is_integer
from b2emulator.errors import bad_request
from b2emulator.names import MAX_NAME_BYTES

Json = dict[str, Any]
MAX_RULES = 100
MAX_TEXT_BYTES = 1024
MAX_DAYS = 2_147_483_647
DAY_SECONDS = 86_400
DAYS = (
    "daysFromUploadingToHiding",
    "daysFromHidingToDeleting",
    "daysFromStartingToCancelingUnfinishedLargeFiles",
)
CORS_FIELDS = frozenset(
    {
        *("corsRuleName", "allowedOrigins", "allowedOperations", "allowedHeaders"),
        *("exposeHeaders", "maxAgeSeconds"),
    }
)
CORS_OPERATIONS = frozenset(
    {
        *("b2_download_file_by_name", "b2_download_file_by_id", "b2_upload_file"),
        *("b2_upload_part", "s3_delete", "s3_get", "s3_head", "s3_post", "s3_put"),
    }
)
REPLICATION_FIELDS = frozenset(
    {
        *("replicationRuleName", "destinationBucketId", "fileNamePrefix", "isEnabled"),
        *("includeExistingFiles", "priority"),
    }
)


def lifecycle(given: list[Json]) -> list[Json]:
    """Up to 100 rules of which no prefix begins with another's."""
    if len(given) > MAX_RULES:
        raise bad_request(f"at most {MAX_RULES} lifecycle rules")
    stored: list[Json] = []
    for rule in given:
        known_fields(rule, {"fileNamePrefix", *DAYS}, "a lifecycle rule")
        text(rule, "fileNamePrefix", "a lifecycle rule", MAX_NAME_BYTES)
        for field in DAYS:
            if rule.get(field) is not None and not is_integer(rule[field], 1, MAX_DAYS):
                raise bad_request(f"{field} must be null or at least 1")
        if all(rule.get(field) is None for field in DAYS):
            raise bad_request("a lifecycle rule needs a number of days")
        # B2 shows two of the three days always, the third only where it was given.
        shown = [field for field in DAYS if field in DAYS[:2] or rule.get(field) is not None]
        stored.append(
            {"fileNamePrefix": rule["fileNamePrefix"], **{days: rule.get(days) for days in shown}}
        )
    prefixes = sorted(rule["fileNamePrefix"] for rule in stored)
    for first, second in pairwise(prefixes):
        if second.startswith(first):
            raise bad_request(f"lifecycle rules overlap: {first!r} and {second!r}")
    return stored


def cors(given: list[Json]) -> list[Json]:
    """Up to 100 rules with names of their own, each with the fields B2 requires."""
    if len(given) > MAX_RULES:
        raise bad_request(f"at most {MAX_RULES} CORS rules")
    for rule in given:
        known_fields(rule, CORS_FIELDS, "a CORS rule")
        text(rule, "corsRuleName", "a CORS rule")
        for field in ("allowedOrigins", "allowedOperations"):
            if not texts(rule, field, "a CORS rule"):
                raise bad_request(f"a CORS rule needs {field}")
        for field in ("allowedHeaders", "exposeHeaders"):
            if rule.get(field) is not None:
                texts(rule, field, "a CORS rule")
        if unknown := set(rule["allowedOperations"]) - CORS_OPERATIONS:
            raise bad_request(f"Invalid allowedOperations: {sorted(unknown)[0]}")
        if not is_integer(rule.get("maxAgeSeconds"), 0, DAY_SECONDS):
            raise bad_request(f"maxAgeSeconds must be a number up to {DAY_SECONDS}")
    names = [rule["corsRuleName"].lower() for rule in given]
    if len(set(names)) < len(names):
        raise bad_request("CORS rules must have different names")
    return given


def replication(given: Json) -> Json | None:
    """Who copies what to where; None when neither side is set."""
    known_fields(given, {"asReplicationSource", "asReplicationDestination"}, "replication")
    source, destination = given.get("asReplicationSource"), given.get("asReplicationDestination")
    if source is not None:
        _replication_source(source)
    if destination is not None:
        if not isinstance(destination, dict):
            raise bad_request("asReplicationDestination must be an object")
        keys = destination.get("sourceToDestinationKeyMapping")
        if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
            raise bad_request("asReplicationDestination needs sourceToDestinationKeyMapping")
        known_fields(destination, {"sourceToDestinationKeyMapping"}, "asReplicationDestination")
    if source is None and destination is None:
        return None
    return {"asReplicationSource": source, "asReplicationDestination": destination}


def _replication_source(source: object) -> None:
    where = "asReplicationSource"
    if not isinstance(source, dict) or not isinstance(source.get("replicationRules"), list):
        raise bad_request(f"{where} needs replicationRules")
    known_fields(source, {"replicationRules", "sourceApplicationKeyId"}, where)
    text(source, "sourceApplicationKeyId", where)
    for rule in source["replicationRules"]:
        if not isinstance(rule, dict):
            raise bad_request("a replication rule is an object")
        known_fields(rule, REPLICATION_FIELDS, "a replication rule")
        for field in ("replicationRuleName", "destinationBucketId", "fileNamePrefix"):
            text(rule, field, "a replication rule")
        for field in ("isEnabled", "includeExistingFiles"):
            if not isinstance(rule.get(field), bool):
                raise bad_request(f"a replication rule needs {field}: true or false")
        if not is_integer(rule.get("priority"), 1, 2_147_483_647):
            raise bad_request("the priority of a replication rule is a number from 1 on")
    for field in ("replicationRuleName", "priority"):
        values = [rule[field] for rule in source["replicationRules"]]
        if len(set(values)) < len(values):
            raise bad_request(f"two replication rules have the same {field}")


def known_fields(given: Json, known: Set[str], where: str) -> None:
    """Raises bad_request for a field that B2 does not know there."""
    if unknown := given.keys() - known:
        raise bad_request(f"unknown field in {where}: {min(unknown)}")


def text(given: Json, field: str, where: str, most_bytes: int = MAX_TEXT_BYTES) -> str:
    """A string that has to be there."""
    value = given.get(field)
    if not isinstance(value, str) or len(value.encode()) > most_bytes:
        raise bad_request(f"{where} needs {field}: text of at most {most_bytes} bytes")
    return value


def texts(given: Json, field: str, where: str) -> list[str]:
    """A list of strings that has to be there."""
    value = given.get(field)
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise bad_request(f"{where} needs {field}: a list of strings")
    return value


def default_encryption(given: Json) -> Json:
    """SSE-B2 or none; SSE-C cannot be a bucket's default."""
    mode, algorithm = given.get("mode"), given.get("algorithm")
    if mode in (None, "none"):
        return {"mode": None, "algorithm": None}
    if mode != "SSE-B2" or algorithm not in (None, "AES256"):
        raise bad_request("defaultServerSideEncryption is SSE-B2 with AES256, or none")
    return {"mode": "SSE-B2", "algorithm": "AES256"}


def default_retention(given: Json) -> Json:
    """A mode with its period, or neither."""
    mode, period = given.get("mode"), given.get("period")
    if mode is None or mode == "none":
        return {"mode": None, "period": None}
    if mode not in ("governance", "compliance"):
        raise bad_request(f"Invalid retention mode: {mode}")
    if (
        not isinstance(period, dict)
        or period.get("unit") not in ("days", "years")
        or not is_integer(period.get("duration"), 1, MAX_DAYS // 365)
    ):
        raise bad_request("a retention mode needs a period of days or years")
    return {"mode": mode, "period": {"duration": period["duration"], "unit": period["unit"]}}
