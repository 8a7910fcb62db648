"""What Redis knows of the B2 accounts: which are used, whether one has to pause, what its key may.

Credentials are the workers' alone: what a key may do is asked of them, as a job of kind check.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from b2jobs import fleet
from b2jobs.errors import JobNotFound
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.redis import unavailable


@dataclass(frozen=True)
class AccountState:
    """One account. *cap*: why all workers leave it alone now. *check*: the last check that was
    asked for with `remember`, if it is kept."""

    name: str
    cap: fleet.Cap | None = None
    check: Record | None = None


def remember(records: Records, account: str, job_id: str) -> None:
    """Note that the check *job_id* is the latest one of *account*."""
    with unavailable(records.url):
        records.redis.hset(f"{records.prefix}checks", account, job_id)


def states(records: Records, seen: Iterable[str] = ()) -> list[AccountState]:
    """The accounts that were checked or are named in *seen*, by name.

    Raises:
        QueueUnavailable
    """
    with unavailable(records.url):
        checks = cast("dict[str, str]", records.redis.hgetall(f"{records.prefix}checks"))
    names = sorted({*seen, *checks})
    caps = {cap.account: cap for cap in fleet.caps(records, names)}
    return [
        AccountState(name, caps.get(name), _record(records, checks.get(name))) for name in names
    ]


def _record(records: Records, job_id: str | None) -> Record | None:
    if job_id is None:
        return None
    try:
        return records.get(job_id)
    except JobNotFound:  # its retention time is over
        return None
