"""Lifecycle rules, applied when asked: B2 does it once a day, a test cannot wait."""

from __future__ import annotations

import time
from itertools import pairwise

from b2emulator.emulator import Emulator
from b2emulator.store.versions import HIDE, HIDE_MARKER_TYPE, START, Version

DAY_MILLIS = 86_400_000


def apply_rules(
    emulator: Emulator, bucket_name: str | None = None, now_millis: int | None = None
) -> dict[str, int]:
    """Do what the rules ask for at *now_millis*; says how many were hidden, deleted, cancelled.

    A file is deleted some days after it was hidden, or after a newer version
    took its place. Locked versions stay.
    """
    now = now_millis if now_millis is not None else time.time_ns() // 1_000_000
    done = {"hidden": 0, "deleted": 0, "cancelled": 0}
    for bucket in emulator.buckets.all():
        if bucket_name not in (None, bucket.name):
            continue
        for rule in bucket.lifecycle_rules:
            names = _versions_by_name(emulator, bucket.id, rule["fileNamePrefix"])
            for versions in names.values():
                _apply(emulator, rule, versions, now, done)
    return done


def _versions_by_name(emulator: Emulator, bucket: str, prefix: str) -> dict[str, list[Version]]:
    from b2emulator.store.listing import Folder, Wanted

    names: dict[str, list[Version]] = {}
    page = emulator.listings.versions(Wanted(bucket, prefix, limit=1 << 62))
    for entry in page.entries:
        if not isinstance(entry, Folder):
            names.setdefault(entry.name, []).append(entry)
    return names


def _apply(
    emulator: Emulator,
    rule: dict[str, int | None],
    versions: list[Version],
    now: int,
    done: dict[str, int],
) -> None:
    """One rule for the versions of one name, newest first."""
    cancel_days = rule.get("daysFromStartingToCancelingUnfinishedLargeFiles")
    for version in versions:
        if version.action == START and _is_older(version.millis, cancel_days, now):
            emulator.versions.remove(version)
            done["cancelled"] += 1
    finished = [version for version in versions if version.action != START]
    if not finished:
        return
    hide_days, delete_days = rule["daysFromUploadingToHiding"], rule["daysFromHidingToDeleting"]
    if finished[0].action != HIDE and _is_older(finished[0].millis, hide_days, now):
        marker = Version(finished[0].bucket, finished[0].name, HIDE, content_type=HIDE_MARKER_TYPE)
        finished.insert(0, emulator.versions.add(marker, millis=now))
        done["hidden"] += 1
    gone = 0
    for newer, version in pairwise(finished):
        # A version counts as hidden from the moment the next one took its place.
        locked = version.legal_hold == "on" or (version.retain_until or 0) > now
        if _is_older(newer.millis, delete_days, now) and not locked:
            emulator.versions.remove(version)
            done["deleted"] += 1
            gone += 1
    alone = gone == len(finished) - 1
    if alone and finished[0].action == HIDE and _is_older(finished[0].millis, delete_days, now):
        emulator.versions.remove(finished[0])
        done["deleted"] += 1


def _is_older(millis: int, days: int | None, now: int) -> bool:
    return days is not None and millis + days * DAY_MILLIS <= now
