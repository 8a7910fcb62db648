"""Staging that is cut short, bytes that went bad, workers that die: nothing of it stays."""

from __future__ import annotations

import asyncio
import hashlib
import io
import subprocess
import sys
import threading
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import b2jobs
from b2jobs.redis.pieces import PIECE_BYTES
from b2jobs.staging import pieces
from support.emulator import LocalB2
from support.fake import Fake
from support.installation import Installation
from support.processes import kill_tree
from support.redis_server import RedisServer
from support.waiting import eventually

THREE = bytes(3 * PIECE_BYTES)
TO = "b2://some-bucket/x"


class Source:
    """A file object that does something before its last piece."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._file = io.BytesIO(THREE)
        self._act = act

    def read(self, size: int) -> bytes:
        if self._file.tell() >= 2 * PIECE_BYTES:
            self._act()
        return self._file.read(size)


def staged(installation: Installation) -> set[str]:
    return {key for key in sorted(installation.keys()) if key.startswith("b2jobs:stag")}


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk"), SystemExit(1)])
def test_a_source_that_breaks_off_leaves_nothing(
    installation: Installation, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        installation.client.upload(Source(raising(error)), TO)  # type: ignore[arg-type]  # it reads
    assert installation.keys() == set()


def test_a_task_that_is_cancelled_leaves_nothing(installation: Installation) -> None:
    client = b2jobs.AsyncClient(client=installation.client)

    async def endless(written: asyncio.Event) -> AsyncIterator[bytes]:
        for piece in pieces(THREE):
            yield piece
        written.set()
        await asyncio.Event().wait()

    async def go() -> None:
        written = asyncio.Event()
        task = asyncio.create_task(client.upload(endless(written), TO))
        await written.wait()
        assert staged(installation)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert installation.keys() == set()


def test_a_task_that_is_cancelled_while_a_piece_is_written_leaves_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = b2jobs.AsyncClient(client=installation.client)
    store = installation.client.records.pieces
    began, go_on, put = threading.Event(), threading.Event(), store.put

    def slow(*arguments: Any, **options: Any) -> None:
        began.set()
        go_on.wait(30)
        put(*arguments, **options)

    monkeypatch.setattr(store, "put", slow)

    async def go() -> None:
        task = asyncio.create_task(client.upload(THREE, TO))
        await asyncio.get_running_loop().run_in_executor(None, began.wait, 30)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert installation.keys() == set()


def test_what_is_too_large_is_refused_with_the_other_ways(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2JOBS_STAGED_BYTES", str(2 * PIECE_BYTES))
    path = tmp_path / "large"
    path.write_bytes(THREE)
    for source in (THREE, path, io.BytesIO(THREE)):
        with pytest.raises(b2jobs.InvalidJob) as caught:
            installation.client.upload(source, TO)
        assert caught.value.code == "staged_too_large"
        assert str(2 * PIECE_BYTES) in str(caught.value)
        assert all(way in caught.value.hint for way in ("data://", "s3://", "https://"))
        assert installation.keys() == set()


def test_a_full_share_refuses_until_jobs_have_ended(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2JOBS_STAGED_ALL_BYTES", str(4 * PIECE_BYTES))
    first = installation.client.upload(THREE, TO)
    with pytest.raises(b2jobs.QueueUnavailable) as caught:
        installation.client.upload(THREE, TO)
    assert caught.value.code == "staged_full"
    assert "s3://" in caught.value.hint
    first.cancel()
    assert staged(installation) == set()
    installation.client.upload(THREE, TO)


def test_a_redis_that_is_full_takes_nothing_and_keeps_nothing(
    make_redis: Callable[..., RedisServer], make_installation: Callable[..., Installation]
) -> None:
    redis = make_redis(maxmemory_policy="noeviction")
    installation = make_installation(redis.url)
    used = int(installation.redis.info("memory")["used_memory"])

    def fill() -> None:
        redis.set("maxmemory", used)

    with pytest.raises(b2jobs.QueueUnavailable):
        installation.client.upload(Source(fill), TO)  # type: ignore[arg-type]  # it reads
    assert installation.keys() == set()


def test_a_redis_that_dies_in_between_has_no_job_and_forgets_the_pieces(
    make_redis: Callable[..., RedisServer], make_installation: Callable[..., Installation]
) -> None:
    redis = make_redis(appendonly=True, appendfsync="always")
    installation = make_installation(redis.url)
    client = b2jobs.Client(redis.url, key_prefix=installation.key_prefix, timeout_seconds=1)

    with pytest.raises(b2jobs.QueueUnavailable):
        client.upload(Source(redis.kill), TO)  # type: ignore[arg-type]  # it reads
    redis.start()

    assert client.jobs() == []
    assert staged(installation)
    # The producer's next upload, or a keeper, finds them when their ten minutes are over.
    for name in installation.redis.zrange(f"{client.records.prefix}staging", 0, -1):
        installation.redis.zadd(f"{client.records.prefix}staging", {name: 1})
    client.upload(b"x", TO).cancel()
    assert staged(installation) == set()


def test_a_producers_memory_is_a_few_pieces(installation: Installation) -> None:
    class Zeros:
        left = 30

        def read(self, size: int) -> bytes:
            self.left -= 1
            return bytes(size) if self.left >= 0 else b""

    async def zeros() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield bytes(100_000)

    client = b2jobs.AsyncClient(client=installation.client)

    async def upload() -> None:
        await client.upload(zeros(), TO)

    for act in (lambda: installation.client.upload(Zeros(), TO), lambda: asyncio.run(upload())):
        tracemalloc.start()
        act()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 8 * PIECE_BYTES


def test_a_key_that_exists_keeps_the_first_bytes_only(installation: Installation) -> None:
    first = installation.client.upload(b"first", TO, key="k")
    held = staged(installation)
    assert installation.client.upload(THREE, TO, key="k").id == first.id
    assert staged(installation) == held


def due(installation: Installation) -> None:
    """As if the time of all that is staged were over."""
    key = f"{installation.client.records.prefix}staging"
    for name in installation.redis.zrange(key, 0, -1):
        installation.redis.zadd(key, {name: 1})


# Nobody but the next producer was seen to sweep: an application that stages once a week left what
# it had begun when it died.
def test_a_worker_sweeps_what_a_killed_producer_left_and_what_was_kept_for_a_retry(
    fake: Fake,
) -> None:
    installation = fake.installation
    installation.start_celery(B2JOBS_KEEP_STAGED_SECONDS="600")
    failed = installation.client.upload(THREE, TO, info={"end": "asked"})
    eventually(failed.ended)
    kept = staged(installation)
    assert kept
    failed.retry()
    eventually(failed.ended)
    assert staged(installation) == kept
    producer = subprocess.Popen(
        [sys.executable, "-m", "b2jobs", "upload", "-", TO],
        env=installation.env(),
        stdin=subprocess.PIPE,
    )
    assert producer.stdin is not None
    producer.stdin.write(THREE)
    producer.stdin.flush()
    eventually(lambda: len(staged(installation)) > len(kept))
    producer.kill()
    producer.wait(10)

    due(installation)

    eventually(lambda: not staged(installation))
    with pytest.raises(b2jobs.InvalidJob) as refused:
        failed.retry()
    assert refused.value.code == "staged_gone"
    assert installation.client.records.pieces.total() == 0


# A worker that dies with a job takes none of its bytes along: the next attempt reads them again.
def test_kill_9_of_the_worker_in_the_middle_of_a_large_one(
    make_installation: Callable[..., Installation], own_b2: LocalB2
) -> None:
    installation = make_installation(account=own_b2.account, settings={"B2JOBS_PROCESSES": "1"})
    worker = installation.start_worker()
    bucket = f"kill-{uuid.uuid4().hex[:8]}"
    installation.client.bucket("create", bucket).wait(60)
    slow = {"fault": "latency", "calls": ["b2_upload_part"], "seconds": 2, "skip": 1, "next": 8}
    own_b2.admin("POST", "faults", slow)
    data = hashlib.shake_256(b"kill").digest(30_000_000)

    handle = installation.client.upload(data, f"b2://{bucket}/x")
    eventually(lambda: handle.progress().get("phase") == "sending")
    kill_tree(worker)
    installation.start_worker("second")

    result = handle.wait(120)
    assert (result.sha1, result.attempts) == (hashlib.sha1(data).hexdigest(), 2)
    assert staged(installation) == set()


@pytest.mark.parametrize("size", [1000, 500_000, 12_000_000])
def test_bytes_that_went_bad_in_redis_are_never_stored(stack: Installation, size: int) -> None:
    bucket = f"bad-{uuid.uuid4().hex[:8]}"
    stack.client.bucket("create", bucket).wait(60)
    client, data = stack.client, hashlib.shake_256(b"bad").digest(size)
    put = client.records.pieces.put

    def spoilt(id: str, number: int, piece: bytes, **options: Any) -> None:
        put(id, number, b"!" + piece[1:], **options)

    client.records.pieces.put = spoilt  # type: ignore[method-assign]  # for this upload
    try:
        handle = client.upload(data, f"b2://{bucket}/x")
    finally:
        client.records.pieces.put = put  # type: ignore[method-assign]
    with pytest.raises(b2jobs.JobFailed) as caught:
        handle.wait(60)

    assert caught.value.code == "staged_damaged"
    assert "handed over" in str(caught.value)
    assert "staged://" not in str(caught.value)
    assert client.ask("delete", target=f"b2://{bucket}/x", versions="all").wait(60).deleted == 0
    client.bucket("delete", bucket).wait(60)  # no unfinished large file keeps it
    assert staged(stack) == set()
    with pytest.raises(b2jobs.InvalidJob) as refused:
        handle.retry()
    assert refused.value.code == "staged_gone"
