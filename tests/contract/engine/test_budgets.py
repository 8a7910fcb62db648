"""A day's budget of an account: counted before each call, for the fleet, never overdrawn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from b2jobs.errors import PassingError
from b2jobs.redis import Door
from b2jobs_worker.b2.budget import TAKEN_AT_ONCE, RedisBudgets
from b2jobs_worker.b2.meter import CallClass
from b2jobs_worker.budgets import Budget
from contract.engine.corner import Bench


@pytest.fixture
def worker(redis_url: str, request: pytest.FixtureRequest) -> Callable[..., RedisBudgets]:
    def make(budget: Budget | None, **options: Any) -> RedisBudgets:
        client = redis.Redis.from_url(redis_url, decode_responses=True)
        door = Door(client, redis_url, f"{request.node.name}:")
        return RedisBudgets(door, lambda _: budget, **options)

    return make


def taken(budgets: RedisBudgets, call_class: CallClass, most: int = 10_000) -> int:
    count = 0
    while count < most:
        try:
            budgets.take("default", call_class)
        except PassingError as caught:
            error = caught
            break
        count += 1
    else:
        return most
    assert (error.code, error.wait and error.wait.reason) == ("budget_spent", "budget")
    assert error.wait is not None
    assert 0 < (error.wait.seconds or 0) <= 86_400
    return count


@pytest.mark.parametrize(("call_class", "budget", "most"), [
    ("b", Budget(class_b_calls=100), 100),
    ("c", Budget(class_c_calls=1), 1),
    ("c", Budget(class_c_calls=0), 0),
    ("c", Budget(dollars=0.001), 250),
    ("b", Budget(dollars=0.001, class_b_calls=5000), 2500),
    ("c", Budget(dollars=1.0, class_c_calls=40), 40),
])  # fmt: skip
def test_no_worker_takes_more_than_the_budget_has(
    worker: Callable[..., RedisBudgets], call_class: CallClass, budget: Budget, most: int
) -> None:
    workers = [worker(budget) for _ in range(3)]
    counts = [0, 0, 0]

    def work(at: int) -> None:
        counts[at] = taken(workers[at], call_class)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == most


def test_what_is_not_limited_costs_no_round_trip(worker: Callable[..., RedisBudgets]) -> None:
    assert taken(worker(None), "c", 1000) == 1000
    assert taken(worker(Budget(class_b_calls=0)), "c", 1000) == 1000
    assert taken(worker(Budget(class_b_calls=0, class_c_calls=0, dollars=0)), "a", 1000) == 1000


def test_the_next_day_begins_anew_and_what_was_left_is_not_carried_over(
    worker: Callable[..., RedisBudgets], redis_url: str, request: pytest.FixtureRequest
) -> None:
    now = [0.0]
    budgets = worker(Budget(class_c_calls=2048), clock=lambda: now[0])
    for _ in range(5):
        budgets.take("default", "c")
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    [key] = client.keys(f"{request.node.name}:b2jobs:budget:default:*")
    assert client.hget(key, "c") == str(TAKEN_AT_ONCE)
    client.rename(key, f"{request.node.name}:yesterday")
    now[0] += 86_401
    assert taken(budgets, "c") == 2048


def test_a_budget_that_is_raised_counts_at_once(redis_url: str, worker: Any) -> None:
    now, budget = 0.0, [Budget(class_c_calls=2)]
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    door = Door(client, redis_url, "raised:")
    budgets = RedisBudgets(door, lambda _: budget[0], clock=lambda: now)
    assert taken(budgets, "c") == 2
    budget[0] = Budget(class_c_calls=5)
    assert taken(budgets, "c") == 3  # in the same moment


def test_calls_made_while_redis_is_away_are_counted_later(redis_url: str) -> None:
    nowhere = redis.Redis(port=1, socket_connect_timeout=0.1, retry=Retry(NoBackoff(), 0))
    away, here = (
        Door(client, redis_url, "away:")
        for client in (nowhere, redis.Redis.from_url(redis_url, decode_responses=True))
    )
    budgets = RedisBudgets(away, lambda _: Budget(class_c_calls=5))
    for _ in range(3):
        budgets.take("default", "c")
    budgets._door = here
    assert taken(budgets, "c") == 2


def test_the_engine_stops_before_the_call_that_is_too_much(
    bench: Bench, worker: Callable[..., RedisBudgets]
) -> None:
    bench.run("upload", source="data:,x", destination=bench.b2("x"))
    other = bench.another_worker()
    other.context.accounts.budgets = worker(Budget(class_b_calls=3, class_c_calls=2))
    before = bench.admin.counters().calls.get("b2_download_file_by_name", 0)
    ended = []
    for _ in range(5):
        try:
            other.run("download", source=bench.b2("x"), destination="data://out/x")
        except PassingError as error:
            ended.append(error.code)
    calls = bench.admin.counters().calls
    made = calls.get("b2_download_file_by_name", 0) + calls.get("b2_get_file_info", 0)
    assert (made - before, set(ended)) == (3, {"budget_spent"})
    # What needs no call of the class goes on: an upload needs class A alone by now.
    assert other.run("upload", source="data:,y", destination=bench.b2("y")).status == "transferred"
