"""Webhooks from a real worker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

import b2jobs
from b2jobs.words import Words
from support.fake import Fake
from support.processes import Process
from support.receiver import SECRET, Receiver, receiver
from support.waiting import eventually

HERE = {"B2JOBS_WEBHOOK_HOSTS": "localhost", "B2JOBS_WEBHOOK_PRIVATE_HOSTS": "localhost"}


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def start(fake: Fake, **env: str) -> Process:
    account = {"key_id": "k", "application_key": "a"}
    fake.installation.write_secrets({**account, "webhooks": SECRET})
    return fake.installation.start_celery(**{**HERE, **env})


def submit(fake: Fake, on_done: Any, **options: Any) -> b2jobs.Handle:
    return fake.installation.client.upload(
        "data://r/x", "b2://some-bucket/x", on_done=on_done, **options
    )


def test_a_webhook_is_told_of_success_and_failure(fake: Fake, hook: Receiver) -> None:
    worker = start(fake)
    done = submit(fake, hook.url())
    failed = submit(fake, [hook.url("/a"), hook.url("/b")], info={"end": "asked"})
    eventually(lambda: len(hook.got) == 3)
    found = {got.path: json.loads(got.body)["data"] for got in hook.got}
    assert found["/hook"]["job"] == done.id
    assert found["/hook"]["result"] == done.record().result
    assert found["/a"] == found["/b"]
    assert found["/a"]["job"] == failed.id
    assert found["/a"]["failure"]["code"] == "asked"
    assert len(set(hook.ids())) == 3
    eventually(lambda: Words(fake.installation.client.records).counts()["waiting"] == 0)
    worker.stop()
    assert fake.installation.leftovers() == set()


def test_it_is_told_again_under_the_same_id_until_it_is_taken(fake: Fake, hook: Receiver) -> None:
    hook.statuses = [500, 429, 302]
    start(fake)
    submit(fake, hook.url())
    eventually(lambda: len(hook.got) == 4)
    assert len(set(hook.ids())) == 1
    assert len({got.body for got in hook.got}) == 1


def test_a_receiver_that_hangs_holds_up_nobody_else(fake: Fake, hook: Receiver) -> None:
    with receiver() as stuck:
        stuck.hang = True
        start(fake)
        stuck_jobs = [submit(fake, stuck.url()) for _ in range(40)]
        fake.ended(stuck_jobs)
        eventually(lambda: len(stuck.got) == 2, what=lambda: stuck.got)
        for _ in range(20):
            submit(fake, [hook.url(), ("app.stored", "app-queue")])
        queue = f"{fake.installation.key_prefix}app-queue"
        eventually(lambda: len(hook.got) == 20)
        eventually(lambda: fake.installation.redis.llen(queue) == 20)
        assert len(stuck.got) == 2, "two at most are on their way to one host"


# A lane was leased for as long as a telling may last: a dead worker's words waited 30 s.
def test_a_dead_workers_words_are_told_within_the_lease_and_a_slow_ones_once(
    fake: Fake, hook: Receiver
) -> None:
    hook.hang = True
    first, redis = start(fake), fake.installation.redis
    submit(fake, hook.url())
    eventually(lambda: hook.got)
    outbox = f"{fake.installation.key_prefix}b2jobs:outbox"
    [(_, leased)] = redis.zrange(outbox, 0, -1, withscores=True)
    fake.installation.start_celery("second", **HERE)

    eventually(lambda: redis.zrange(outbox, 0, -1, withscores=True)[0][1] > leased + 4)
    assert len(hook.got) == 1, "its lease (3 s) is renewed while it is told"
    hook.hang = False
    first.kill()
    killed = time.monotonic()
    eventually(lambda: len(hook.got) == 2)
    assert time.monotonic() - killed < 10
    assert len(set(hook.ids())) == 1


def test_a_host_that_is_not_allowed_is_listed_and_told_once_it_is(
    fake: Fake, hook: Receiver
) -> None:
    worker = start(fake, B2JOBS_WEBHOOK_HOSTS="other.example")
    job = submit(fake, hook.url("/hook?secret=1"))
    words = Words(fake.installation.client.records)
    [word] = eventually(lambda: list(words.listed(standing="undelivered")))
    assert job.state() == "succeeded"
    assert "webhook_hosts" in word.error
    assert "secret" not in word.receiver
    worker.stop()
    fake.installation.start_celery("second", **HERE)
    words.resend(word.id)
    eventually(lambda: hook.ids() == [word.id])
    eventually(lambda: words.counts() == {"waiting": 0, "undelivered": 0})
