"""Jobs that another application sends with its own Celery and reads with AsyncResult."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

import b2jobs
from support.fake import Fake
from support.waiting import eventually

KWARGS = {"source": "data:,x", "destination": "b2://some-bucket/x"}


@pytest.fixture
def foreign(fake: Fake) -> Iterator[Celery]:
    installation = fake.installation
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


def test_it_is_done_and_the_result_is_the_same_dict(fake: Fake, foreign: Celery) -> None:
    worker = fake.installation.start_celery()

    sent = foreign.send_task("b2jobs.upload", kwargs=KWARGS, queue="b2jobs")

    got = sent.get(timeout=120)
    assert got == fake.installation.client.job(sent.id).record().result
    assert got["file_id"] == f"{sent.id}-1"
    assert fake.versions() == {sent.id: 1}
    worker.stop()
    assert fake.installation.leftovers() == set()


@pytest.mark.parametrize("priority", [None, 9])
def test_it_is_found_in_the_default_queue_and_other_tasks_stay_there(
    fake: Fake, foreign: Celery, priority: int | None
) -> None:
    # A message with a priority lies in a list of its own: it was not looked for there.
    other = foreign.send_task("theirs.work", args=["b2jobs.upload"])
    fake.installation.start_celery()

    sent = foreign.send_task("b2jobs.upload", kwargs=KWARGS, priority=priority)

    assert sent.get(timeout=120)["size"] == 3
    [left] = fake.installation.redis.lrange(f"{fake.installation.key_prefix}celery", 0, -1)
    assert json.loads(left)["headers"]["id"] == other.id


def test_a_countdown_is_kept_in_redis_not_in_a_worker(fake: Fake, foreign: Celery) -> None:
    fake.installation.start_celery()
    sent_at = datetime.now(UTC)
    sent = foreign.send_task("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", countdown=3)
    job = fake.installation.client.job(sent.id)
    eventually(lambda: known(job), timeout=120)
    seen = (job.state(), job.reason())
    # A machine so busy that the countdown is over has nothing to show here.
    if datetime.now(UTC) < sent_at + timedelta(seconds=3):
        assert seen in {("waiting", "window"), ("queued", "in_line")}
    assert sent.get(timeout=120)["attempts"] == 1
    record = job.record()
    assert record.started is not None
    assert (record.started - sent_at).total_seconds() >= 3


def known(job: b2jobs.Handle) -> bool:
    try:
        return bool(job.state())
    except b2jobs.JobNotFound:
        return False


def test_what_is_past_its_expiry_does_not_start(fake: Fake, foreign: Celery) -> None:
    sent = foreign.send_task("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", expires=0.001)
    fake.installation.start_celery()
    with pytest.raises(b2jobs.JobFailed) as caught:
        sent.get(timeout=120)
    assert caught.value.code == "expired"


def test_bad_arguments_are_a_failure_with_a_name(fake: Fake, foreign: Celery) -> None:
    fake.installation.start_celery()
    send = foreign.send_task
    cases = {
        "invalid_request": send("b2jobs.upload", kwargs={**KWARGS, "typo": 1}, queue="b2jobs"),
        "bucket_name_refused": send(
            "b2jobs.upload", kwargs={**KWARGS, "destination": "b2://x/y"}, queue="b2jobs"
        ),
    }
    cases["positional"] = send("b2jobs.upload", args=["data:,x"], queue="b2jobs")
    for code, sent in cases.items():
        with pytest.raises(b2jobs.JobFailed) as caught:
            sent.get(timeout=120)
        assert caught.value.code == code.replace("positional", "invalid_request")
        assert fake.installation.client.job(sent.id).state() == "failed"


def test_the_same_key_gives_both_tasks_the_same_result(fake: Fake, foreign: Celery) -> None:
    fake.installation.start_celery()
    kwargs = {**KWARGS, "key": "k"}
    sent = [foreign.send_task("b2jobs.upload", kwargs=kwargs, queue="b2jobs") for _ in range(3)]
    results = [task.get(timeout=120) for task in sent]
    assert results[0] == results[1] == results[2]
    assert len(fake.versions()) == 1
    late = foreign.send_task("b2jobs.upload", kwargs=kwargs, queue="b2jobs")
    assert late.get(timeout=120) == results[0]


def test_the_same_message_twice_is_one_job(fake: Fake, foreign: Celery) -> None:
    task_id = str(uuid.uuid4())
    for _ in range(2):
        foreign.send_task("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", task_id=task_id)
    worker = fake.installation.start_celery()
    fake.installation.client.submit  # noqa: B018 - the client is only made here
    eventually(lambda: fake.versions() == {task_id: 1})
    fake.submit().wait(120)
    assert len(fake.events("start", task_id)) == 1
    worker.stop()
    assert fake.installation.leftovers() == set()


@pytest.mark.parametrize(
    ("header", "value"),
    [("eta", "soon"), ("expires", "late"), ("eta", 5)],
)
def test_a_message_with_nonsense_does_not_stop_the_worker(
    fake: Fake, foreign: Celery, header: str, value: object
) -> None:
    # A time that cannot be read ended the worker, and the message was given to the next one.
    task_id = str(uuid.uuid4())
    foreign.send_task("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", task_id=task_id)
    key = f"{fake.installation.key_prefix}b2jobs"
    message = json.loads(str(fake.installation.redis.rpop(key)))
    message["headers"][header] = value
    fake.installation.redis.lpush(key, json.dumps(message))
    worker = fake.installation.start_celery()

    assert fake.submit().wait(120).size == 3
    assert worker.status is None
    assert fake.installation.client.job(task_id).state() == "failed"
