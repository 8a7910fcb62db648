"""Bucket settings as B2 checks them: lifecycle, CORS, encryption, retention."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from b2emulator.errors import bad_request

Json = dict[str, Any]
MAX_RULES = 100
DAYS = (
    "daysFromUploadingToHiding",
    "daysFromHidingToDeleting",
    "daysFromStartingToCancelingUnfinishedLargeFiles",
)


def lifecycle(given: list[Json]) -> list[Json]:
    """Up to 100 rules of which no prefix begins with another's."""
    if len(given) > MAX_RULES:
        raise bad_request(f"at most {MAX_RULES} lifecycle rules")
    stored: list[Json] = []
    for rule in given:
        prefix = rule.get("fileNamePrefix")
        if not isinstance(prefix, str):
            raise bad_request("a lifecycle rule needs fileNamePrefix")
        if unknown := set(rule) - {"fileNamePrefix", *DAYS}:
            raise bad_request(f"unknown field in lifecycle rule: {sorted(unknown)[0]}")
        for field in DAYS:
            days = rule.get(field)
            if days is not None and (not isinstance(days, int) or days < 1):
                raise bad_request(f"{field} must be null or at least 1")
        if all(rule.get(field) is None for field in DAYS):
            raise bad_request("a lifecycle rule needs a number of days")
        stored.append({"fileNamePrefix": prefix, **{field: rule.get(field) for field in DAYS}})
    prefixes = sorted(rule["fileNamePrefix"] for rule in stored)
    for first, second in pairwise(prefixes):
        if second.startswith(first):
            raise bad_request(f"lifecycle rules overlap: {first!r} and {second!r}")
    return stored


def cors(given: list[Json]) -> list[Json]:
    """Up to 100 rules, each with the fields B2 requires."""
    if len(given) > MAX_RULES:
        raise bad_request(f"at most {MAX_RULES} CORS rules")
    for rule in given:
        for field in ("corsRuleName", "allowedOrigins", "allowedOperations", "maxAgeSeconds"):
            if field not in rule:
                raise bad_request(f"a CORS rule needs {field}")
    return given


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
        or not isinstance(period.get("duration"), int)
        or period["duration"] < 1
    ):
        raise bad_request("a retention mode needs a period of days or years")
    return {"mode": mode, "period": {"duration": period["duration"], "unit": period["unit"]}}
