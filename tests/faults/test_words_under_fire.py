"""Kill -9 around the end of many jobs: every word arrives, and a chord ends once."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from celery import chord

from b2jobs.words import Words
from support.fake import Fake
from support.foreign_app import make_app
from support.installation import Installation
from support.processes import Process
from support.receiver import SECRET, Receiver, receiver
from support.waiting import eventually

JOBS = int(os.environ.get("B2JOBS_WORDS_JOBS", "200"))
KILLS = 6
ENV = {"B2JOBS_WEBHOOK_HOSTS": "localhost", "B2JOBS_WEBHOOK_PRIVATE_HOSTS": "localhost"}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


class Fleet:
    """Two workers of which one is killed again and again."""

    def __init__(self, installation: Installation) -> None:
        account = {"key_id": "k", "application_key": "a"}
        installation.write_secrets({**account, "webhooks": SECRET})
        self._installation = installation
        self._random = random.Random(7)
        self._workers = [self._start(0), self._start(1)]
        self._number = 2

    def _start(self, number: int) -> Process:
        return self._installation.start_celery(f"w{number}", slots=8, **ENV)

    def kill(self, times: int) -> None:
        """One of the two at a time, somewhere in its work; another takes its place."""
        for _ in range(times):
            time.sleep(self._random.uniform(1.0, 3.0))
            at = self._random.randrange(2)
            self._workers[at].kill()
            self._workers[at] = self._start(self._number)
            self._number += 1


def test_every_word_arrives_whoever_dies(fake: Fake, hook: Receiver) -> None:
    installation = fake.installation
    fleet = Fleet(installation)
    on_done = [("app.stored", "app-queue"), hook.url()]
    ids = {
        installation.client.upload(
            "data://r/x", "b2://some-bucket/x", on_done=on_done, info={"sleep": "0.1"}
        ).id
        for _ in range(JOBS)
    }
    words, counts = Words(installation.client.records), installation.client.records.counts

    fleet.kill(KILLS)

    def all_told() -> bool:
        return counts()["succeeded"] == JOBS and not words.counts()["waiting"]

    eventually(all_told, timeout=300, what=lambda: (counts(), words.counts()))
    assert words.counts() == {"waiting": 0, "undelivered": 0}
    posts = {got.headers["webhook-id"]: json.loads(got.body)["data"]["job"] for got in hook.got}
    assert Counter(posts.values()) == Counter(ids), "one id a job, however often it was told"
    messages = [json.loads(str(text)) for text in installation.redis.lrange(
        f"{installation.key_prefix}app-queue", 0, -1)]  # fmt: skip
    told = [json.loads(base64.b64decode(each["body"]))[1]["job"] for each in messages]
    assert Counter(told) == Counter(ids), "messages are sent once"


def test_a_chord_ends_once_whoever_dies(fake: Fake, hook: Receiver) -> None:
    installation = fake.installation
    fleet = Fleet(installation)
    app = make_app(installation.redis_url, installation.key_prefix)
    kwargs = {"source": "data://r/x", "destination": "b2://some-bucket/x", "info": {"sleep": "0.1"}}
    upload = app.signature("b2jobs.upload", kwargs=kwargs, immutable=True)
    body = app.signature("theirs.note").set(queue="bodies")
    sent = chord([upload.clone() for _ in range(100)], body, app=app).apply_async()
    key = f"{installation.key_prefix}bodies"

    fleet.kill(KILLS)
    eventually(lambda: installation.redis.llen(key), timeout=300)
    words = Words(installation.client.records)
    eventually(lambda: not words.counts()["waiting"], timeout=120)
    [message] = [json.loads(str(text)) for text in installation.redis.lrange(key, 0, -1)]
    assert message["headers"]["id"] == sent.id
    [results] = json.loads(base64.b64decode(message["body"]))[0]
    assert [each["job"] for each in results] == [child.id for child in sent.parent]
