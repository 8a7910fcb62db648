"""What every governor does; and what the fleet's does beyond one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from b2jobs.errors import OperatorError, PassingError, Wait
from b2jobs.rates import Rates
from b2jobs_worker.b2.governor import Governor, LocalGovernor
from b2jobs_worker.b2.redis_governor import LOOK_SECONDS, RedisGovernor
from b2jobs_worker.live_limits import LiveLimits
from contract.engine.corner import Bench

LIMITED = PassingError("rate_limited", "slow down", wait=Wait("rate_limited", 60.0))


def ok() -> None:
    """A checkpoint of an attempt that goes on."""


@pytest.fixture(params=["local", "redis"])
def governor(request: pytest.FixtureRequest, redis_url: str) -> Governor:
    if request.param == "local":
        return LocalGovernor()
    return RedisGovernor(redis.Redis.from_url(redis_url), f"{request.node.name}:")


def test_nothing_is_in_the_way_at_first(governor: Governor) -> None:
    governor.admit("default", ok)


def test_a_long_pause_ends_the_attempt_of_that_account_only(governor: Governor) -> None:
    governor.pause("default", LIMITED)
    with pytest.raises(PassingError) as caught:
        governor.admit("default", ok)
    assert caught.value.code == "rate_limited"
    assert caught.value.wait is not None
    assert 55 < (caught.value.wait.seconds or 0) <= 60
    governor.admit("archive", ok)


def test_a_short_pause_is_waited_out(governor: Governor) -> None:
    governor.pause("default", PassingError("rate_limited", "", wait=Wait("rate_limited", 0.3)))
    begun = time.monotonic()
    governor.admit("default", ok)
    assert time.monotonic() - begun > 0.25


def test_the_later_end_of_two_pauses_holds(governor: Governor) -> None:
    governor.pause("default", OperatorError("cap_exceeded", "", wait=Wait("cap", 3600)))
    governor.pause("default", LIMITED)
    with pytest.raises(PassingError) as caught:
        governor.admit("default", ok)
    assert caught.value.code == "cap_exceeded"
    assert caught.value.wait is not None
    assert caught.value.wait.reason == "cap"


def test_an_interruption_ends_the_waiting(governor: Governor) -> None:
    governor.pause("default", PassingError("rate_limited", "", wait=Wait("rate_limited", 1.9)))

    def checkpoint() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        governor.admit("default", checkpoint)


@pytest.fixture
def fleet(redis_url: str, request: pytest.FixtureRequest) -> Callable[..., RedisGovernor]:
    def make(**options: float) -> RedisGovernor:
        client = redis.Redis.from_url(redis_url)
        return RedisGovernor(client, f"{request.node.name}:", rates=lambda: Rates(**options))

    return make


def test_what_one_worker_is_told_another_heeds(fleet: Callable[..., RedisGovernor]) -> None:
    one, other = fleet(), fleet()
    other.admit("default", ok)
    one.pause("default", LIMITED)
    time.sleep(LOOK_SECONDS)
    with pytest.raises(PassingError) as caught:
        other.admit("default", ok)
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
        worker = workers[number % 2]
        if bytes_count:
            assert worker.moved("default", bytes_count, checkpoint=ok)
        else:
            worker.admit("default", ok)
    # 200 at 100 a second, less what may be used at once: half a second, and a piece of each.
    assert 1.0 < time.monotonic() - begun < 3


def test_nothing_is_booked_ahead_for_a_worker_that_dies(
    fleet: Callable[..., RedisGovernor],
) -> None:
    # A part of 16 MiB was once booked as a whole: killed, its worker left the others waiting.
    options = {"bytes_per_second": 100_000.0}
    asked = 0

    def dies() -> None:
        nonlocal asked
        asked += 1
        if asked > 12:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fleet(**options).moved("default", 16 * 2**20, checkpoint=dies)
    begun = time.monotonic()
    fleet(**options).moved("default", 50_000, checkpoint=ok)
    assert time.monotonic() - begun < 2


def test_a_rate_that_changes_holds_for_who_waits(redis_url: str) -> None:
    now = [Rates(bytes_per_second=1000.0)]
    governor = RedisGovernor(redis.Redis.from_url(redis_url), "changes:", rates=lambda: now[0])
    seen = 0

    def lifted() -> None:
        nonlocal seen
        seen += 1
        if seen == 10:
            now[0] = Rates()

    begun = time.monotonic()
    governor.moved("default", 10**9, checkpoint=lifted)
    assert time.monotonic() - begun < 5
    assert not governor.moved("default", 10**9, checkpoint=ok)


def test_an_upload_slows_down_at_the_boundary(bench: Bench, redis_url: str) -> None:
    boundary = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
    settings = bench.context.settings.model_copy(
        update={"limits": {"17:00-18:00": "1 MB/s", "18:00-19:00": "200 kB/s"}}
    )
    begun = time.monotonic()
    limits = LiveLimits(
        settings, clock=lambda: boundary + timedelta(seconds=time.monotonic() - begun - 1)
    )
    bench.context.accounts.governor = RedisGovernor(
        redis.Redis.from_url(redis_url), f"{bench.prefix}:", rates=limits.rates
    )
    source = bench.put("long", bytes(2_000_000))
    assert bench.run("upload", source=source, destination=bench.b2("long")).verified
    # At most 1.75 MB in the first second, 0.75 of them at once; the rest at the second rate.
    assert 2.2 < time.monotonic() - begun < 10
    assert limits.told()["now"] == "200 kB/s"


def test_without_redis_transfers_go_on(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = redis.Redis(port=1, socket_connect_timeout=0.1, retry=Retry(NoBackoff(), 0))
    governor = RedisGovernor(nowhere, rates=lambda: Rates(requests_per_second=10.0))
    governor.admit("default", ok)
    governor.pause("default", LIMITED)
    with pytest.raises(PassingError):
        governor.admit("default", ok)
    assert "not known" in caplog.text
