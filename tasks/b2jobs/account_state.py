"""What Redis knows of the B2 accounts: which are used, whether one has to pause, what its key may.

Credentials are the workers' alone: what a key may do is asked of them, as a job of kind check.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from b2jobs import fleet
from b2jobs.errors import JobNotFound
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.redis import unavailable


@dataclass(frozen=True)
class AccountState:
    """One account. *cap*: why all workers leave it alone now. *budget*: what it has used of its
    own today (UTC), where it has one. *check*: the last check that was asked for with `remember`,
    if it is kept."""

    name: str
    cap: fleet.Cap | None = None
    budget: fleet.Budget | None = None
    check: Record | None = None

    @property
    def is_held(self) -> bool:
        """Whether nothing is asked of it now: its cap, or its budget, is used up."""
        return self.cap is not None or bool(self.budget and self.budget.is_spent)


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
    return [
        replace(state, check=_record(records, checks.get(state.name)))
        for state in _limited(records, names)
    ]


def held(records: Records, names: Iterable[str]) -> list[AccountState]:
    """Those of the accounts *names* of which nothing is asked now.

    Raises:
        QueueUnavailable
    """
    return [state for state in _limited(records, sorted(names)) if state.is_held]


def _limited(records: Records, names: list[str]) -> list[AccountState]:
    caps = {cap.account: cap for cap in fleet.caps(records, names)}
    budgets = {each.account: each for each in fleet.budgets(records, names) if each.most}
    return [AccountState(name, caps.get(name), budgets.get(name)) for name in names]


def _record(records: Records, job_id: str | None) -> Record | None:
    if job_id is None:
        return None
    try:
        return records.get(job_id)
    except JobNotFound:  # its retention time is over
        return None
