"""What each account may use in a day: calls of class B and C, and dollars.

A call is taken from the budget before it is made, so the fleet never makes more than the budget
has. Calls are taken sixteen at a time and process, and one by one when little is left: what a
process has taken and does not use before the day ends, or before it dies, is lost to the others.
While Redis is away calls are made and counted when it is back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from b2jobs.errors import PassingError, QueueUnavailable, Wait
from b2jobs.redis import Door
from b2jobs_worker.b2.meter import CallClass
from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.budgets import Budget

logger = logging.getLogger(__name__)

TAKEN_AT_ONCE = 16
LOOK_AGAIN_SECONDS = 1.0
"""So often a budget that is used up is asked for again: the config file may have raised it."""
_NANO = 1_000_000_000


class Budgets(Protocol):
    """Asked by the HTTP layer before each request of a job. For many threads."""

    def take(self, account: str, call_class: CallClass) -> None:
        """Return when the call may be made; it counts as made.

        Raises:
            PassingError: `budget_spent`, with the time until the day ends.
        """


class NoBudgets:
    """Limits nothing."""

    def take(self, account: str, call_class: CallClass) -> None:
        """Whatever is asked for."""


class _Taken:
    """What this process has of one account and class."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left = 0
        self.owed = 0
        self.day_ends = 0.0
        self.asked_at = float("-inf")
        self.refused_by: Budget | None = None


class RedisBudgets:
    """Implements `Budgets` for all workers that share the Redis behind *door*."""

    def __init__(
        self,
        door: Door,
        budget: Callable[[str], Budget | None],
        prices: Callable[[], Prices] = Prices,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*budget*: that of an account now."""
        self._door = door
        self._budget = budget
        self._prices = prices
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, CallClass], _Taken] = {}

    def take(self, account: str, call_class: CallClass) -> None:
        budget = self._budget(account)
        if budget is None:
            return
        price = round(self._prices().dollars({call_class: 1}) * _NANO)
        if not budget.limits(call_class, price):
            return
        with self._lock:
            taken = self._taken.setdefault((account, call_class), _Taken())
        with taken.lock:
            now = self._clock()
            if now >= taken.day_ends:
                taken.left = 0
            elif (
                taken.left <= 0
                and taken.refused_by == budget  # who is woken by a raised one asks at once
                and now - taken.asked_at < LOOK_AGAIN_SECONDS
            ):
                raise _spent(account, call_class, budget, taken.day_ends - now)
            if taken.left <= 0:
                self._ask(taken, account, call_class, budget, price)
            if taken.left <= 0:
                taken.asked_at, taken.refused_by = now, budget
                raise _spent(account, call_class, budget, taken.day_ends - now)
            taken.left -= 1

    def _ask(
        self, taken: _Taken, account: str, call_class: CallClass, budget: Budget, price: int
    ) -> None:
        nano = None if budget.dollars is None else round(budget.dollars * _NANO)
        try:
            granted, seconds = self._door.call(
                "fleet/budget",
                **{"account": account, "class": call_class, "want": TAKEN_AT_ONCE},
                price=price,
                owed=taken.owed,
                most_b=budget.class_b_calls,
                most_c=budget.class_c_calls,
                most_nano=nano,
            )
        except QueueUnavailable as error:
            logger.warning("the budget of %s is not known: %s", account, error)
            taken.left += 1
            taken.owed += 1
            return
        taken.owed = 0
        taken.left = int(granted)
        taken.day_ends = self._clock() + float(seconds)


def _spent(account: str, call_class: CallClass, budget: Budget, seconds: float) -> PassingError:
    calls = {"b": budget.class_b_calls, "c": budget.class_c_calls}.get(call_class)
    told = [] if calls is None else [f"{calls:,} calls of class {call_class.upper()}"]
    told += [] if budget.dollars is None else [f"${budget.dollars:g}"]
    return PassingError(
        "budget_spent",
        f"The budget of the account {account} is used up for today: {' or '.join(told)}.",
        hint="It begins anew at 00:00 UTC; raising it in the workers' config file lets jobs go on.",
        wait=Wait("budget", max(1.0, seconds)),
    )
