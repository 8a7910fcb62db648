"""Waits hear of the end: a few looks for thousands of them, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import b2jobs
from b2jobs.ends import LOOK_SECONDS
from b2jobs.handle import Handle
from support.redis_server import RedisServer
from support.scripts import Scripts
from support.waiting import eventually


@pytest.fixture
def server(make_redis: Callable[..., RedisServer]) -> RedisServer:
    return make_redis(appendonly=True)


@pytest.fixture
def own(server: RedisServer) -> Scripts:
    return Scripts(server.client(), server.url, "t:")


@pytest.fixture
def client(server: RedisServer) -> b2jobs.Client:
    return b2jobs.Client(server.url, key_prefix="t:")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def looks(scripts: Scripts) -> int:
    """How often a record was read so far."""
    return int(scripts.redis.info("commandstats").get("cmdstat_hgetall", {"calls": 0})["calls"])


def listeners(scripts: Scripts, job: str = "j") -> int:
    return int(scripts.redis.pubsub_numsub(f"t:celery-task-meta-{job}")[0][1])


def quiet(scripts: Scripts, seconds: float = 0.8) -> None:
    """Wait until nobody looks any more: all are told."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        before = looks(scripts)
        time.sleep(seconds)
        if looks(scripts) == before:
            return
    raise AssertionError("records are read again and again")


def ended(scripts: Scripts, job: str = "j", state: str = "succeeded") -> None:
    fence = scripts.claim(job)[1]
    scripts.finish(job, fence, state)


def test_two_thousand_waits_ask_a_few_times_and_not_for_ever(
    own: Scripts, client: b2jobs.Client
) -> None:
    """Each handle asked twice a second for ever: 2,000 cost 6 s of CPU in the first 10 s."""
    count = 2000
    for n in range(count):
        own.submit(f"j{n}")

    async def everything() -> list[Any]:
        twin = b2jobs.AsyncClient(client=client)
        waits = [asyncio.ensure_future(twin.job(f"j{n}").wait(60)) for n in range(count)]
        await asyncio.to_thread(quiet, own)
        assert looks(own) <= 5 * count
        assert len(own.redis.client_list(_type="pubsub")) == 1
        await asyncio.to_thread(lambda: [ended(own, f"j{n}") for n in range(count)])
        return await asyncio.gather(*waits)

    found = asyncio.run(everything())
    assert len(found) == count


def test_an_end_is_heard_at_once_by_all_who_wait_for_it(
    own: Scripts, client: b2jobs.Client, threads: ThreadPoolExecutor
) -> None:
    own.submit("j")
    first = threads.submit(client.job("j").wait, 60)
    quiet(own)
    others = [threads.submit(client.job("j").wait, 60) for _ in range(7)]
    quiet(own)
    before = looks(own)
    began = time.monotonic()
    ended(own)
    for wait in (first, *others):
        wait.result(LOOK_SECONDS / 2)
    assert time.monotonic() - began < LOOK_SECONDS / 2
    assert looks(own) == before + 8


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_other_ends_are_heard_too(
    own: Scripts, client: b2jobs.Client, threads: ThreadPoolExecutor, state: str
) -> None:
    own.submit("j")
    wait = threads.submit(client.job("j").wait, 60)
    quiet(own)
    if state == "cancelled":
        client.job("j").cancel()
    else:
        ended(own, state="failed")
    with pytest.raises((b2jobs.JobFailed, b2jobs.JobCancelled)):
        wait.result(LOOK_SECONDS / 2)


def test_an_end_while_the_connection_is_gone_is_not_missed(
    own: Scripts, client: b2jobs.Client, threads: ThreadPoolExecutor
) -> None:
    own.submit("j")
    wait = threads.submit(client.job("j").wait, 60)
    quiet(own)
    fence = own.claim("j")[1]
    with own.redis.pipeline(transaction=True) as pipe:  # nobody is subscribed at the end
        pipe.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        pipe.hset(own.key("job:j"), mapping={"state": "succeeded", "result": "{}"})
        pipe.execute()
    wait.result(LOOK_SECONDS / 2)
    assert fence


def test_a_redis_that_is_killed_and_comes_back_ends_no_wait(
    own: Scripts, server: RedisServer, client: b2jobs.Client, threads: ThreadPoolExecutor
) -> None:
    own.submit("j")
    wait = threads.submit(client.job("j").wait, 90)
    quiet(own)
    own.redis.config_set("appendfsync", "always")
    own.submit("last")
    server.kill()
    server.start()
    eventually(lambda: listeners(own) == 1)
    ended(own)
    wait.result(LOOK_SECONDS / 2)


def test_the_child_of_a_fork_hears_by_itself(
    own: Scripts, client: b2jobs.Client, threads: ThreadPoolExecutor
) -> None:
    own.submit("j")
    wait = threads.submit(client.job("j").wait, 60)
    quiet(own)
    child = os.fork()
    if child == 0:
        with_error = 1
        try:
            client.job("j").wait(60)
            with_error = 0
        finally:
            os._exit(with_error)
    eventually(lambda: listeners(own) == 2)
    ended(own)
    wait.result(LOOK_SECONDS / 2)
    assert os.waitpid(child, 0)[1] == 0


def test_who_may_not_subscribe_asks_as_before(own: Scripts, server: RedisServer) -> None:
    own.redis.acl_setuser(
        "w", enabled=True, passwords=["+x"], categories=["+@all"], keys=["*"], reset_channels=True
    )
    barred = b2jobs.Client(server.url.replace("//", "//w:x@"), key_prefix="t:")
    own.submit("j")
    threading.Timer(1.0, ended, [own]).start()
    barred.job("j").wait(LOOK_SECONDS / 2)
    assert listeners(own) == 0


def test_a_wait_ends_with_its_time_and_leaves_nothing(own: Scripts, client: b2jobs.Client) -> None:
    own.submit("j")
    job: Handle[Any] = client.job("j")
    began = time.monotonic()
    with pytest.raises(b2jobs.WaitTimeout, match=r"after 0\.7 s"):
        job.wait(0.7)
    assert time.monotonic() - began >= 0.7
    eventually(lambda: listeners(own) == 0)

    async def awaited() -> None:
        with pytest.raises(b2jobs.WaitTimeout):
            await b2jobs.AsyncClient(client=client).job("j").wait(0.7)
        waiting = asyncio.ensure_future(b2jobs.AsyncClient(client=client).job("j").wait())
        await asyncio.to_thread(eventually, lambda: listeners(own) == 1)
        waiting.cancel()
        await asyncio.to_thread(eventually, lambda: listeners(own) == 0)

    asyncio.run(awaited())
