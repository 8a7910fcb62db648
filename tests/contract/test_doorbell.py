"""The wire: our doorbell against a message Celery made, our results against Celery's backend."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult
from kombu import Connection

import b2jobs
from b2jobs.celery_meta import failed_meta, revoked_meta, succeeded_meta
from b2jobs.errors import Failure
from support.installation import Installation

RUNTIME = {"id", "root_id", "rung", "origin", "argsrepr", "kwargsrepr", "ignore_result"}


@pytest.fixture
def foreign(installation: Installation) -> Iterator[Celery]:
    """Another application's Celery on the same Redis."""
    app = Celery(
        "foreign",
        broker=installation.redis_url,
        backend=installation.redis_url,
        set_as_current=False,
    )
    prefix = {"global_keyprefix": installation.key_prefix}
    app.conf.update(broker_transport_options=prefix, result_backend_transport_options=prefix)
    yield app
    app.close()


def taken(installation: Installation, queue: str) -> dict[str, Any]:
    raw = installation.redis.rpop(f"{installation.key_prefix}{queue}")
    assert isinstance(raw, str)
    message: dict[str, Any] = json.loads(raw)
    return message


def test_a_doorbell_has_the_shape_of_a_message_that_celery_made(
    installation: Installation, foreign: Celery
) -> None:
    job = installation.client.upload("data:,x", "b2://some-bucket/x")
    ours = taken(installation, "b2jobs")
    foreign.send_task("b2jobs.upload", task_id=job.id, queue="b2jobs")
    theirs = taken(installation, "b2jobs")

    assert ours["headers"].keys() == theirs["headers"].keys() | {"rung"}
    for name in theirs["headers"].keys() - RUNTIME:
        assert ours["headers"][name] == theirs["headers"][name], name
    assert ours["headers"]["id"] == ours["headers"]["root_id"] == job.id
    assert ours["properties"].keys() == theirs["properties"].keys()
    for name in ("correlation_id", "delivery_mode", "delivery_info", "priority", "body_encoding"):
        assert ours["properties"][name] == theirs["properties"][name], name
    assert (ours["content-type"], ours["content-encoding"]) == (
        theirs["content-type"],
        theirs["content-encoding"],
    )
    body = [json.loads(base64.b64decode(message["body"])) for message in (ours, theirs)]
    assert body[0] == body[1] == [[], {}, body[1][2]]


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_kombu_reads_a_doorbell(installation: Installation, priority: str) -> None:
    job = installation.client.upload("data:,x", "b2://some-bucket/x", priority=priority)
    queue = {"high": "b2jobs.high", "normal": "b2jobs", "low": "b2jobs.low"}[priority]
    options = {"global_keyprefix": installation.key_prefix}
    with Connection(installation.redis_url, transport_options=options) as connection:
        message = connection.SimpleQueue(queue).get(timeout=5)
        message.ack()
    assert message.headers["task"] == "b2jobs.upload"
    assert message.headers["id"] == job.id
    assert message.payload[:2] == [[], {}]


def test_a_result_is_what_async_result_returns(installation: Installation, foreign: Celery) -> None:
    said = {"url": "https://x/file/b/ä", "size": 3, "sha1": None, "calls": {"a": 1}}
    stored(installation, foreign, "SUCCESS-1", succeeded_meta(said))

    result = AsyncResult("SUCCESS-1", app=foreign)

    assert result.get(timeout=5) == said
    assert result.state == "SUCCESS"
    assert result.date_done.tzinfo is not None


def test_a_failure_is_raised_as_job_failed(installation: Installation, foreign: Celery) -> None:
    failure = Failure(code="source_missing", message="gone", hint="look", act="caller", attempts=2)
    stored(installation, foreign, "FAILURE-1", failed_meta(failure))

    with pytest.raises(b2jobs.JobFailed) as caught:
        AsyncResult("FAILURE-1", app=foreign).get(timeout=5)

    assert caught.value.failure == failure
    assert str(caught.value) == "gone look [source_missing]"


def test_a_cancelled_job_is_revoked_for_celery(installation: Installation, foreign: Celery) -> None:
    stored(installation, foreign, "REVOKED-1", revoked_meta())

    result = AsyncResult("REVOKED-1", app=foreign)

    assert result.state == "REVOKED"
    with pytest.raises(TaskRevokedError):
        result.get(timeout=5)


def test_cancelling_a_queued_job_tells_whoever_asks_celery(
    installation: Installation, foreign: Celery
) -> None:
    job = installation.client.upload("data:,x", "b2://some-bucket/x")
    assert AsyncResult(job.id, app=foreign).state == "PENDING"
    assert job.cancel() == "cancelled"
    assert AsyncResult(job.id, app=foreign).state == "REVOKED"


def stored(installation: Installation, app: Celery, task_id: str, meta: str) -> None:
    """Put a result where the scripts put it: see `tell` in redis/shared/job.lua."""
    text = f'{{"task_id": "{task_id}", "children": [], {meta[1:]}'
    installation.redis.set(f"{installation.key_prefix}celery-task-meta-{task_id}", text)
    theirs = app.backend.encode_result({"x": 1}, "SUCCESS")
    assert theirs == {"x": 1}
    app.backend.store_result("theirs", {"x": 1}, "SUCCESS")
    own = json.loads(app.backend.get(app.backend.get_key_for_task("theirs")))
    assert json.loads(text).keys() == own.keys()
