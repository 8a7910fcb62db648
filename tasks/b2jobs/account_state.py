"""What Redis knows of the B2 accounts: which are used, whether one has to pause, what its key may.

Credentials are the workers' alone: what a key may do is asked of them, as a job of kind check.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from b2jobs.errors import JobNotFound
from b2jobs.records import Record, Records
from b2jobs.redis import unavailable


@dataclass(frozen=True)
class AccountState:
    """One account. *check*: the last check that was asked for with `remember`, if it is kept.

    pause_code, pause_reason, pause_seconds: why all workers leave it alone now, for how long.
    """

    name: str
    pause_code: str = ""
    pause_reason: str = ""
    pause_seconds: float = 0.0
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
        pipe = records.redis.pipeline(transaction=False)
        for name in names:
            key = f"{records.root}governor:{name}:pause"
            pipe.get(key)
            pipe.pttl(key)
        answers = iter(pipe.execute())
    found = []
    for name in names:
        told, milliseconds = next(answers), next(answers)
        pause: dict[str, Any] = json.loads(told) if told and milliseconds > 0 else {}
        found.append(
            AccountState(
                name,
                pause.get("code", ""),
                pause.get("reason", ""),
                milliseconds / 1000 if pause else 0.0,
                _record(records, checks.get(name)),
            )
        )
    return found


def _record(records: Records, job_id: str | None) -> Record | None:
    if job_id is None:
        return None
    try:
        return records.get(job_id)
    except JobNotFound:  # its retention time is over
        return None
