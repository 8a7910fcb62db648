"""A Redis that is frozen, answers nothing or turns everybody away: each call keeps its time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import b2jobs
from support.redis_server import RedisServer
from support.waiting import eventually

MakeRedis = Callable[..., RedisServer]
SECONDS = 1.5
LATE = 3.0  # how late a call may end on a busy machine; times that multiply take 11 s and more


@contextmanager
def listening(answer: bytes | None = None, *, backlog: int = 50) -> Iterator[int]:
    """A port that accepts and says nothing, or says *answer* and closes."""
    with contextlib.ExitStack() as undo:
        server = undo.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = server.accept()
                    accepted.sendall(answer or b"")
                    accepted.close()

        if answer is not None:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            undo.callback(thread.join)
            undo.callback(server.shutdown, socket.SHUT_RDWR)
        yield server.getsockname()[1]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds + LATE


@contextmanager
def frozen(redis: RedisServer) -> Iterator[None]:
    redis.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        redis.process.signal(signal.SIGCONT)


@pytest.mark.parametrize("connected", [True, False])
def test_every_call_of_a_frozen_redis_keeps_its_time(
    make_redis: MakeRedis, connected: bool
) -> None:
    # upload() took 21 to 86 s and wait(timeout=2) 53 s: four tries in each of four connects.
    redis = make_redis()
    job = b2jobs.Client(redis.url).check()
    client = b2jobs.Client(redis.url, timeout_seconds=SECONDS)
    if connected:
        client.job(job.id).state()
    with frozen(redis):
        with within(SECONDS), pytest.raises(b2jobs.QueueUnavailable, match=str(redis.port)):
            client.upload("data:,x", "b2://some-bucket/x")
        with within(0.5), pytest.raises(b2jobs.WaitTimeout):
            client.job(job.id).wait(timeout=0.5)
        with within(SECONDS), pytest.raises(b2jobs.QueueUnavailable):
            client.jobs()
        with within(SECONDS), pytest.raises(b2jobs.QueueUnavailable):
            client.job(job.id).wait()
    assert client.job(job.id).state() == "queued"


def test_a_wait_ends_in_time_when_redis_freezes_meanwhile(make_redis: MakeRedis) -> None:
    redis = make_redis()
    job = b2jobs.Client(redis.url).check()
    with ThreadPoolExecutor(1) as thread, within(2):
        waited = thread.submit(job.wait, 2)
        eventually(lambda: "hgetall" in str(redis.client().info("commandstats")))
        with frozen(redis), pytest.raises(b2jobs.WaitTimeout):
            waited.result()


def test_the_awaitable_twins_keep_their_time_and_leave_the_loop_free(
    make_redis: MakeRedis,
) -> None:
    # They ran in asyncio's default executor, and somebody else's to_thread hung with them.
    redis = make_redis()

    async def main() -> None:
        client = b2jobs.AsyncClient(redis.url, timeout_seconds=SECONDS)
        job = await client.check()
        with frozen(redis):
            with within(SECONDS):
                asked = [asyncio.create_task(job.state()) for _ in range(60)]
                waits = [asyncio.create_task(job.wait(timeout=0.5)) for _ in range(60)]
                await asyncio.wait_for(asyncio.to_thread(time.sleep, 0), LATE)
                with within(0.5):
                    ends = await asyncio.gather(*waits, return_exceptions=True)
                assert {type(end) for end in ends} == {b2jobs.WaitTimeout}
                ends = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(end) for end in ends} == {b2jobs.QueueUnavailable}
        assert await job.cancel() == "cancelled"

    asyncio.run(main())


@pytest.mark.parametrize("hosts", ["127.0.0.1:{0}", "localhost:{0}"])
def test_a_port_that_accepts_and_says_nothing(hosts: str) -> None:
    with listening() as port:
        client = b2jobs.Client(f"redis://{hosts.format(port)}", timeout_seconds=SECONDS)
        with within(SECONDS), pytest.raises(b2jobs.QueueUnavailable):
            client.check()


def test_a_port_that_does_not_even_accept() -> None:
    with listening(backlog=0) as port, contextlib.ExitStack() as undo:
        for _ in range(4):  # its queue is full from then on
            waiting = undo.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        client = b2jobs.Client(f"redis://127.0.0.1:{port}", timeout_seconds=SECONDS)
        with within(SECONDS), pytest.raises(b2jobs.QueueUnavailable):
            client.check()


def test_sentinels_that_say_nothing() -> None:
    with listening() as one, listening() as two, listening() as three:
        hosts = ",".join(f"127.0.0.1:{port}" for port in (one, two, three))
        client = b2jobs.Client(f"sentinel://{hosts}/main", timeout_seconds=SECONDS)
        with within(SECONDS), pytest.raises(b2jobs.QueueUnavailable):
            client.check()


def test_protected_mode_is_told_with_the_way_out() -> None:
    said = b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n"
    with listening(said) as port, pytest.raises(b2jobs.QueueUnavailable) as caught:
        b2jobs.Client(f"redis://127.0.0.1:{port}", timeout_seconds=SECONDS).check()
    assert "protected mode" in str(caught.value)
    assert "requirepass" in caught.value.hint


def test_a_database_that_redis_has_not_is_the_urls_fault(make_redis: MakeRedis) -> None:
    redis = make_redis()
    with pytest.raises(b2jobs.InvalidJob, match="no such database") as caught:
        b2jobs.Client(f"redis://127.0.0.1:{redis.port}/99").check()
    assert caught.value.code == "invalid_redis_url"


def test_more_threads_than_connections_wait_for_one(make_redis: MakeRedis) -> None:
    # 150 threads met `Too many connections` at the 101st, of 500 in wait() 258 failed.
    redis = make_redis()
    client = b2jobs.Client(redis.url)
    job = client.check()
    with ThreadPoolExecutor(300) as threads:
        waits = [threads.submit(job.wait, 60) for _ in range(300)]
        eventually(lambda: redis.client().client_list(_type="pubsub"))
        job.cancel()  # all 300 are told at once, and look
        ends = [wait.exception() for wait in waits]
    assert {type(end) for end in ends} == {b2jobs.JobCancelled}
    assert redis.client().info("clients")["connected_clients"] <= 70
