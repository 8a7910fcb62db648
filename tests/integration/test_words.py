"""What is told when a job ends: to Celery tasks of an application."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

import b2jobs
from b2jobs.requests import Check
from b2jobs.words import Words
from support.fake import Fake
from support.installation import Installation
from support.waiting import eventually


def told(installation: Installation, queue: str = "app-queue") -> list[dict[str, Any]]:
    """The messages in a queue of the application, the first first."""
    found = installation.redis.lrange(f"{installation.key_prefix}{queue}", 0, -1)
    return [read(str(text)) for text in reversed(found)]


def read(text: str) -> dict[str, Any]:
    import base64

    message = json.loads(text)
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    return {**message["headers"], "args": args, "kwargs": kwargs}


def until_told(installation: Installation, count: int, queue: str = "app-queue") -> list[Any]:
    return eventually(
        lambda: found if len(found := told(installation, queue)) >= count else None,
        what=lambda: list(Words(installation.client.records).listed()),
    )


TASK = ("app.stored", "app-queue")


def submit(fake: Fake, on_done: Any, **script: Any) -> b2jobs.Handle:
    info = {name: str(value) for name, value in script.items()}
    client = fake.installation.client
    return client.upload("data://r/x", "b2://some-bucket/x", on_done=on_done, info=info)


def test_a_job_that_succeeds_is_told_with_its_result(fake: Fake) -> None:
    worker = fake.installation.start_celery()
    on_done = {"task": "app.stored", "queue": "app-queue", "args": [[], 7], "kwargs": {"row": 3}}
    job = submit(fake, on_done)

    [message] = until_told(fake.installation, 1)

    assert message["task"] == "app.stored"
    assert message["args"] == [[], 7]
    assert message["kwargs"] == {
        "row": 3,
        "job": job.id,
        "kind": "upload",
        "state": "succeeded",
        "result": job.record().result,
        "failure": None,
    }
    assert uuid.UUID(message["id"])
    assert message["kwargsrepr"] == f"{{'job': '{job.id}', 'state': 'succeeded', ...}}"
    worker.stop()
    fake.installation.redis.delete(f"{fake.installation.key_prefix}app-queue")
    assert fake.installation.leftovers() == set()


def test_every_end_is_told(fake: Fake) -> None:
    cancelled = submit(fake, TASK)
    cancelled.cancel()
    expired = fake.installation.client.upload(
        "data:,x", "b2://some-bucket/x", on_done=TASK, expires=0.001
    )
    failed = submit(fake, TASK, end="asked")
    fake.installation.start_celery()
    held = submit(fake, TASK, hold=1)
    fake.running(held)
    held.cancel()

    messages = until_told(fake.installation, 4)

    found = {each["kwargs"]["job"]: each["kwargs"] for each in messages}
    assert len(messages) == len(found) == 4
    ends = {job: (each["state"], each["failure"]["code"]) for job, each in found.items()}
    assert ends == {
        cancelled.id: ("cancelled", "cancelled"),
        expired.id: ("failed", "expired"),
        failed.id: ("failed", "asked"),
        held.id: ("cancelled", "cancelled"),
    }


def test_a_job_that_is_tried_again_is_told_again_under_another_id(fake: Fake) -> None:
    job = submit(fake, TASK, end="asked")
    fake.installation.start_celery()
    until_told(fake.installation, 1)
    job.retry()
    first, second = until_told(fake.installation, 2)
    assert first["kwargs"]["job"] == second["kwargs"]["job"]
    assert first["id"] != second["id"]


def test_several_are_told_each_in_its_queue(fake: Fake) -> None:
    fake.installation.start_celery(
        B2JOBS_CALLBACK_QUEUE="default", B2JOBS_CALLBACK_ROUTES='{"other.*": "routed"}'
    )
    job = submit(fake, [TASK, "app.plain", {"task": "other.task", "priority": 9}])
    for queue in ("app-queue", "default", "routed\x06\x169"):
        [message] = until_told(fake.installation, 1, queue)
        assert message["kwargs"]["job"] == job.id


def test_batches_syncs_and_every_other_kind_are_told(installation: Installation) -> None:
    installation.start_celery("w", app="support.batch_app")
    rows = [{"source": "data://r/fine", "destination": "b2://some-bucket/a"}]
    old = installation.client.batch_items(rows, on_done=TASK)
    new = installation.client.batch_items(rows, on_done={"task": "app.new", "queue": "app-queue"})
    messages = {each["kwargs"].get("batch") or each["kwargs"]["job"]: each["kwargs"]
                for each in until_told(installation, 2)}  # fmt: skip
    # Who was told of batches before anything else was, has the arguments it knows, and no others.
    assert set(messages[old.id]) == {"batch", "state", "summary"}
    assert messages[old.id]["summary"]["outcomes"] == {"transferred": 1}
    assert set(messages[new.id]) == {"job", "kind", "state", "result", "failure"}
    assert messages[new.id]["result"]["outcomes"] == {"transferred": 1}


def test_a_sync_is_told_by_real_workers(stack: Installation) -> None:
    bucket = f"told-{uuid.uuid4().hex[:12]}"
    stack.client.bucket("create", bucket, type="private").wait(60)
    (stack.data / bucket).mkdir()
    (stack.data / bucket / "file").write_bytes(b"x")
    queue = f"told-{bucket}"

    sync = stack.client.sync(
        f"data://.my/{bucket}/", f"b2://{bucket}/", on_done={"task": "app.synced", "queue": queue}
    )

    [message] = until_told(stack, 1, queue)
    assert message["kwargs"]["job"] == sync.id
    assert (message["kwargs"]["kind"], message["kwargs"]["state"]) == ("sync", "succeeded")
    assert message["kwargs"]["result"] == sync.record().result
    assert message["kwargs"]["result"]["outcomes"] == {"transferred": 1}
    failing = stack.client.sync(
        f"data://.my/{bucket}/", "b2://no-such-bucket-here/", on_done=("app.synced", queue)
    )
    _, message = until_told(stack, 2, queue)
    assert message["kwargs"]["job"] == failing.id
    assert message["kwargs"]["failure"]["code"] == failing.record().failure.code  # type: ignore[union-attr]


def test_a_queue_that_is_no_queue_is_told_of_and_the_word_waits(fake: Fake) -> None:
    records = fake.installation.client.records
    records.redis.set(f"{fake.installation.key_prefix}app-queue", "something else")
    fake.installation.start_celery()
    job = submit(fake, TASK)
    words = Words(records)

    word = eventually(lambda: next((w for w in words.listed() if w.error), None))

    assert word.job == job.id
    assert "app-queue" in word.error
    assert job.state() == "succeeded"
    records.redis.delete(f"{fake.installation.key_prefix}app-queue")
    words.resend(word.id)
    [message] = until_told(fake.installation, 1)
    assert message["id"] == str(uuid.UUID(word.id))


def test_what_cannot_be_told_is_kept_and_sent_again(fake: Fake) -> None:
    records = fake.installation.client.records
    key = f"{fake.installation.key_prefix}app-queue"
    records.redis.set(key, "something else")
    fake.installation.start_celery(B2JOBS_WEBHOOK_RETRY_SECONDS="1")
    submit(fake, TASK)
    words = Words(records)

    [word] = eventually(lambda: list(words.listed(standing="undelivered")))

    assert words.counts() == {"waiting": 0, "undelivered": 1}
    records.redis.delete(key)
    words.resend(word.id)
    until_told(fake.installation, 1)
    assert words.counts() == {"waiting": 0, "undelivered": 0}


@pytest.mark.parametrize(
    ("on_done", "field"),
    [
        ("b2jobs.upload", "on_done"),
        ("not a task", "on_done"),
        ("ftp://host/", "on_done"),
        ("https://user:password@host/", "on_done"),
        ({"task": "app.x", "kwargs": {"job": 1}}, "on_done"),
        ({"task": "app.x", "url": "https://host/"}, "on_done"),
        ({"url": "https://host/", "secret": "x"}, "on_done"),
        ([f"app.t{n}" for n in range(17)], "on_done"),
        (5, "on_done"),
    ],
)
def test_what_nobody_can_be_told_by_is_refused(on_done: Any, field: str) -> None:
    with pytest.raises(b2jobs.InvalidJob) as caught:
        b2jobs.Client("redis://127.0.0.1:1/0").ask("check", on_done=on_done)
    assert caught.value.field.startswith(field)


def test_the_forms_of_on_done() -> None:
    def kept(on_done: Any) -> Any:
        arguments = Check(on_done=on_done).arguments()
        assert Check(**arguments).arguments() == arguments
        return arguments.get("on_done")

    assert kept(None) is None
    assert kept("app.t") == [{"task": "app.t"}]
    assert kept(("app.t", "q.x")) == kept([("app.t", "q.x")]) == [{"task": "app.t", "queue": "q.x"}]
    assert kept(["app.t", "q"]) == [{"task": "app.t", "queue": "q"}], "a pair that was JSON"
    assert kept(["app.t", "app.u"]) == [{"task": "app.t"}, {"task": "app.u"}]
    assert kept(["app.t", "https://h/"]) == [{"task": "app.t"}, {"url": "https://h/"}]
