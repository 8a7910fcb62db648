"""Bytes from the producer, through a real Redis and real workers into the local B2."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

import b2jobs
from b2jobs.redis.pieces import PIECE_BYTES
from support.installation import Installation

MIB = 1024 * 1024


def content(size: int) -> bytes:
    return hashlib.shake_256(str(size).encode()).digest(size)


class Upload:
    """As Starlette has it: `read` is awaited, and there are a name and a type."""

    filename = "C:\\fakepath\\picture.png"
    content_type = "image/png"

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        return self._file.read(min(size, 700_000))


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 300_001):
        await asyncio.sleep(0)
        yield data[start : start + 300_001]


@pytest.fixture(scope="module")
def bucket(stack: Installation) -> str:
    name = f"staged-{uuid.uuid4().hex[:12]}"
    stack.client.bucket("create", name, type="private").wait(60)
    return name


def staged_keys(installation: Installation) -> set[str]:
    return {key for key in sorted(installation.keys()) if key.startswith("b2jobs:stag")}


def check(
    stack: Installation, handle: b2jobs.Handle[b2jobs.TransferResult], data: bytes
) -> b2jobs.TransferResult:
    result = handle.wait(60)
    assert (result.size, result.sha1) == (len(data), hashlib.sha1(data).hexdigest())
    assert result.verified
    back = stack.data / uuid.uuid4().hex
    stack.client.download(result.uri, f"data://.my/{back.name}").wait(60)
    assert back.read_bytes() == data
    return result


@pytest.mark.parametrize(
    "size", [0, 1, 100_000, 500_000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 7 * MIB + 5]
)
def test_bytes_arrive_as_they_were_and_nothing_of_them_stays(
    stack: Installation, bucket: str, size: int
) -> None:
    data = content(size)

    handle = stack.client.upload(data, f"b2://{bucket}/{size}")

    check(stack, handle, data)
    record = handle.record()
    assert record.staged_bytes == size
    assert f"bytes={size}" in record.request["source"]
    assert staged_keys(stack) == set()


def test_a_path_keeps_its_name_and_time(stack: Installation, bucket: str, tmp_path: Path) -> None:
    path = tmp_path / "ein Bild ü.png"
    path.write_bytes(content(300_000))

    result = check(stack, stack.client.upload(path, f"b2://{bucket}/in/"), content(300_000))

    assert result.name == "in/ein Bild ü.png"


def test_a_file_object_is_read_from_where_it_stands(stack: Installation, bucket: str) -> None:
    file = io.BytesIO(b"header" + content(200_000))
    file.seek(6)
    check(stack, stack.client.upload(file, f"b2://{bucket}/file"), content(200_000))
    assert not file.closed


@pytest.mark.parametrize("source", [Upload, chunks, lambda data: data, io.BytesIO])
def test_coroutines_hand_over_what_they_have(stack: Installation, bucket: str, source: Any) -> None:
    data = content(2 * MIB + 9)
    client = b2jobs.AsyncClient(client=stack.client)

    async def go() -> b2jobs.TransferResult:
        to = f"b2://{bucket}/async/{'' if source is Upload else 'x'}"
        return await (await client.upload(source(data), to)).wait(60)

    result = asyncio.run(go())

    assert result.sha1 == hashlib.sha1(data).hexdigest()
    if source is Upload:
        assert (result.name, result.content_type) == ("async/picture.png", "image/png")
    assert staged_keys(stack) == set()


def test_large_files_are_sent_in_parts_and_say_their_digest(
    stack: Installation, bucket: str
) -> None:
    data = content(12 * MIB)
    result = check(stack, stack.client.upload(data, f"b2://{bucket}/large"), data)
    again = stack.client.upload(data, f"b2://{bucket}/large", if_exists="skip").wait(60)
    assert (again.status, again.file_id) == ("unchanged", result.file_id)


def test_what_data_locations_carry_is_in_no_record_and_no_list(
    installation: Installation,
) -> None:
    secret = "c2VjcmV0LWNvbnRlbnQ="
    uri = f"data:text/plain;base64,{secret}"
    installation.client.upload(uri, "b2://some-bucket/x")

    [record] = installation.client.jobs()

    assert record.staged_bytes == 14
    assert "type=text%2Fplain" in record.request["source"]
    job = installation.redis.hgetall(f"{installation.key_prefix}b2jobs:job:{record.id}")
    assert secret not in json.dumps(job)
    assert "secret-content" not in json.dumps(job)


def test_plain_celerys_data_locations_go_the_same_way(stack: Installation, bucket: str) -> None:
    celery = Celery(broker=stack.redis_url)
    celery.conf.task_routes = b2jobs.celery_routes
    options = {"global_keyprefix": stack.key_prefix}
    celery.conf.broker_transport_options = celery.conf.result_backend_transport_options = options
    arguments = {"source": "data:text/plain,secret-content", "destination": f"b2://{bucket}/celery"}

    celery.send_task("b2jobs.upload", kwargs=arguments, task_id=(job_id := str(uuid.uuid4())))
    refused = {**arguments, "destination": "nowhere"}
    celery.send_task("b2jobs.upload", kwargs=refused, task_id=(refused_id := str(uuid.uuid4())))
    misplaced = {"source": arguments["source"], "destination": f"b2://{bucket}/x"}
    celery.send_task("b2jobs.copy", kwargs=misplaced, task_id=(misplaced_id := str(uuid.uuid4())))

    result = _ended(stack, job_id)
    assert (result.state, result.staged_bytes) == ("succeeded", 14)
    for each in (job_id, refused_id, misplaced_id):
        assert "secret-content" not in json.dumps(_ended(stack, each).as_json(), default=str)
        assert "secret-content" not in str(
            stack.redis.get(f"{stack.key_prefix}celery-task-meta-{each}")
        )
    assert staged_keys(stack) == set()


def _ended(stack: Installation, job_id: str) -> b2jobs.Record:
    from support.waiting import eventually

    def look() -> b2jobs.Record | None:
        try:
            return stack.client.job(job_id).ended()
        except b2jobs.JobNotFound:
            return None

    found: b2jobs.Record = eventually(look)
    return found


def broken(data: bytes, error: BaseException) -> Any:
    class Broken:
        name = "broken"
        _left: Iterator[bytes] = iter([data[:PIECE_BYTES], data[PIECE_BYTES:]])

        def read(self, size: int) -> bytes:
            for piece in self._left:
                return piece
            raise error

    return Broken()
