"""What every governor does; and what the fleet's does beyond one process."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis

from b2jobs.errors import OperatorError, PassingError, Wait
from b2jobs_worker.b2.governor import Governor, LocalGovernor
from b2jobs_worker.b2.redis_governor import LOOK_SECONDS, RedisGovernor

LIMITED = PassingError("rate_limited", "slow down", wait=Wait("rate_limited", 60.0))


def ok() -> None:
    """A checkpoint of an attempt that goes on."""


@pytest.fixture(params=["local", "redis"])
def governor(request: pytest.FixtureRequest, redis_url: str) -> Governor:
    if request.param == "local":
        return LocalGovernor()
    return RedisGovernor(redis.Redis.from_url(redis_url), f"{request.node.name}:")


def test_nothing_is_in_the_way_at_first(governor: Governor) -> None:
    governor.admit("default", 10**9, ok)


def test_a_long_pause_ends_the_attempt_of_that_account_only(governor: Governor) -> None:
    governor.pause("default", LIMITED)
    with pytest.raises(PassingError) as caught:
        governor.admit("default", 0, ok)
    assert caught.value.code == "rate_limited"
    assert caught.value.wait is not None
    assert 55 < (caught.value.wait.seconds or 0) <= 60
    governor.admit("archive", 0, ok)


def test_a_short_pause_is_waited_out(governor: Governor) -> None:
    governor.pause("default", PassingError("rate_limited", "", wait=Wait("rate_limited", 0.3)))
    begun = time.monotonic()
    governor.admit("default", 0, ok)
    assert time.monotonic() - begun > 0.25


def test_the_later_end_of_two_pauses_holds(governor: Governor) -> None:
    governor.pause("default", OperatorError("cap_exceeded", "", wait=Wait("cap", 3600)))
    governor.pause("default", LIMITED)
    with pytest.raises(PassingError) as caught:
        governor.admit("default", 0, ok)
    assert caught.value.code == "cap_exceeded"
    assert caught.value.wait is not None
    assert caught.value.wait.reason == "cap"


def test_an_interruption_ends_the_waiting(governor: Governor) -> None:
    governor.pause("default", PassingError("rate_limited", "", wait=Wait("rate_limited", 1.9)))

    def checkpoint() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        governor.admit("default", 0, checkpoint)


@pytest.fixture
def fleet(redis_url: str, request: pytest.FixtureRequest) -> Callable[..., RedisGovernor]:
    def make(**options: float) -> RedisGovernor:
        client = redis.Redis.from_url(redis_url)
        return RedisGovernor(client, f"{request.node.name}:", **options)  # type: ignore[arg-type]

    return make


def test_what_one_worker_is_told_another_heeds(fleet: Callable[..., RedisGovernor]) -> None:
    one, other = fleet(), fleet()
    other.admit("default", 0, ok)
    one.pause("default", LIMITED)
    time.sleep(LOOK_SECONDS)
    with pytest.raises(PassingError) as caught:
        other.admit("default", 0, ok)
    assert caught.value.code == "rate_limited"


@pytest.mark.parametrize(("options", "bytes_count"), [
    ({"requests_per_second": 100.0}, 0), ({"bytes_per_second": 100_000.0}, 1000),
])  # fmt: skip
def test_a_rate_holds_for_all_workers_together(
    fleet: Callable[..., RedisGovernor], options: dict[str, float], bytes_count: int
) -> None:
    workers = [fleet(**options), fleet(**options)]
    begun = time.monotonic()
    for number in range(200):
        workers[number % 2].admit("default", bytes_count, ok)
    # 200 at 100 a second, less the half second that may be used at once.
    assert time.monotonic() - begun > 1.2


def test_received_bytes_count_too(fleet: Callable[..., RedisGovernor]) -> None:
    governor = fleet(bytes_per_second=100_000.0)
    begun = time.monotonic()
    for _ in range(20):
        governor.received("default", 10_000, ok)
    assert time.monotonic() - begun > 1.2


def test_without_redis_transfers_go_on(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = redis.Redis(port=1, socket_connect_timeout=0.1)
    governor = RedisGovernor(nowhere, requests_per_second=1.0)
    governor.admit("default", 0, ok)
    governor.pause("default", LIMITED)
    with pytest.raises(PassingError):
        governor.admit("default", 0, ok)
    assert "not known" in caplog.text
