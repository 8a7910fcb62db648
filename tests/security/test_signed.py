"""Who can write everything in Redis and has no key, against workers that want signatures.

Deliveries are real, the work is scripted (`support.fake_app`): what it made is a file.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from celery import Celery
from celery.signals import before_task_publish

import b2jobs
from b2jobs.requests import build
from b2jobs.signed import SealRefused
from b2jobs.signing import sign_message
from support.fake import Fake
from support.installation import Installation
from support.processes import Process
from support.waiting import eventually

UPLOAD = {"source": "data:,x", "destination": "b2://some-bucket/x"}


class Attacked:
    """A fleet of one worker, its producer `shop`, and the attacker's client, which has no key."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.attacker = installation.client
        self.keys = installation.require_signatures()
        self.fake = Fake(installation)
        self.worker: Process = installation.start_celery()
        self.redis = installation.redis

    def job_key(self, job_id: str) -> str:
        return f"{self.installation.key_prefix}b2jobs:job:{job_id}"

    def refused(self, job_id: str) -> str:
        """How the job was refused; nothing of it was begun."""
        code = self.ended_with(job_id)
        assert not self.fake.events(job=job_id)
        return code

    def ended_with(self, job_id: str) -> str:
        record = self.attacker.job(job_id).record
        eventually(lambda: self.redis.exists(self.job_key(job_id)), timeout=60)
        eventually(lambda: record().has_ended, timeout=60, what=lambda: str(record()))
        assert self.worker.status is None
        failure = record().failure
        assert failure is not None
        return failure.code

    def put(self, before: dict[str, str], job_id: str, **changed: str) -> None:
        """Put a record, as it was, back; the keeper rings for it."""
        key = self.job_key(job_id)
        self.redis.delete(key)
        self.redis.hset(key, mapping={**before, **changed, "id": job_id, "state": "waiting"})
        self.redis.zadd(f"{self.installation.key_prefix}b2jobs:waiting", {job_id: 0})


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Attacked]:
    made = Attacked(Installation(tmp_path_factory.mktemp("fleet"), redis_url))
    yield made
    made.installation.close()


@pytest.fixture(scope="module")
def done(fleet: Attacked) -> tuple[str, dict[str, str]]:
    """A job that its producer has signed and that is done: its id, and its record as submitted."""
    job = build("upload", {**UPLOAD, "info": {"hold": "1"}})
    job_id = fleet.installation.client.records.submit(str(uuid.uuid4()), job)
    handle = fleet.installation.client.job(job_id)
    fleet.fake.running(handle)
    found = dict(fleet.redis.hgetall(fleet.job_key(job_id)))
    fleet.fake.let_go(handle)
    assert handle.wait(60).size == 3
    return job_id, {**found, "attempts": "0", "fence": "", "started": ""}


def test_what_is_signed_is_done_and_its_result_is_sealed(fleet: Attacked) -> None:
    job = fleet.fake.submit()

    assert job.wait(60).size == 3

    record = fleet.attacker.job(job.id).record()
    assert record.result is not None
    assert fleet.fake.versions()[job.id] == 1
    # Somebody else's word for it is not believed.
    forged = {**record.result, "size": 4}
    fleet.redis.hset(fleet.job_key(job.id), "result", json.dumps(forged))
    with pytest.raises(SealRefused):
        job.wait(5)
    without = {name: value for name, value in record.result.items() if name != "seal"}
    fleet.redis.hset(fleet.job_key(job.id), "result", json.dumps(without))
    with pytest.raises(SealRefused):
        job.wait(5)


def test_what_is_not_signed_is_refused(fleet: Attacked) -> None:
    job = fleet.attacker.upload(UPLOAD["source"], UPLOAD["destination"])

    assert fleet.refused(job.id) == "signature_missing"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"request": json.dumps({**UPLOAD, "destination": "b2://some-bucket/y"})}, "invalid"),
        ({"priority": "high"}, "invalid"),
        ({"key": "theirs"}, "invalid"),
        ({"signature": "!"}, "invalid"),
        ({"signature": "abc 99999999999 00000000000000000000000000000000 {}"}, "invalid"),
        ({}, "invalid"),  # under another id
        ({"signature": ""}, "missing"),
    ],
)
def test_a_record_that_was_changed_is_refused(
    fleet: Attacked, done: tuple[str, dict[str, str]], changed: dict[str, str], code: str
) -> None:
    other = str(uuid.uuid4())

    fleet.put(done[1], other, **changed)

    assert fleet.refused(other) == f"signature_{code}"


def test_a_record_that_is_put_back_is_not_done_again_even_where_redis_forgot_it(
    fleet: Attacked, done: tuple[str, dict[str, str]]
) -> None:
    job_id, before = done
    used = f"{fleet.installation.key_prefix}b2jobs:used"
    assert fleet.redis.zcard(used)

    fleet.put(before, job_id)
    assert fleet.ended_with(job_id) == "signature_used"
    fleet.redis.delete(used)
    fleet.put(before, job_id)
    assert fleet.ended_with(job_id) == "signature_used"

    assert len(fleet.fake.events("commit", job_id)) == 1
    assert fleet.fake.versions()[job_id] == 1


def test_a_failed_job_is_tried_again_by_its_producer_alone(fleet: Attacked) -> None:
    job = fleet.installation.client.upload(
        "data://.my/x", UPLOAD["destination"], info={"end": "asked"}, retry=0
    )
    with pytest.raises(b2jobs.JobFailed, match="asked"):
        job.wait(60)

    with pytest.raises(b2jobs.InvalidJob, match="signed"):
        fleet.attacker.job(job.id).retry()
    fleet.attacker.records.door.call("jobs/retry", id=job.id)

    assert fleet.ended_with(job.id) == "signature_used"
    assert len(fleet.fake.events("start", job.id)) == 1
    job.retry()
    with pytest.raises(b2jobs.JobFailed, match="asked"):
        job.wait(60)
    assert len(fleet.fake.events("start", job.id)) == 2
    # A record that somebody has changed is not signed anew.
    request = json.dumps({**UPLOAD, "destination": "b2://some-bucket/theirs"})
    fleet.redis.hset(fleet.job_key(job.id), "request", request)
    with pytest.raises(b2jobs.InvalidJob, match="changed"):
        job.retry()


def test_messages_of_plain_celery_are_signed_by_one_line(
    fleet: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation, queue = fleet.installation, f"{fleet.installation.key_prefix}b2jobs"
    prefix = {"global_keyprefix": installation.key_prefix}
    app = Celery(
        "shop", broker=installation.redis_url, backend=installation.redis_url, set_as_current=False
    )
    app.conf.update(broker_transport_options=prefix, result_backend_transport_options=prefix)
    unsigned = app.send_task("b2jobs.upload", kwargs=UPLOAD, queue="b2jobs")
    assert fleet.refused(unsigned.id) == "signature_missing"

    monkeypatch.setenv("B2JOBS_KEYS_FILE", str(fleet.keys))
    monkeypatch.setenv("B2JOBS_KEY_PREFIX", installation.key_prefix)
    before_task_publish.connect(sign_message)
    try:
        sent = app.send_task("b2jobs.upload", kwargs=UPLOAD, queue="aside", expires=3600)
    finally:
        before_task_publish.disconnect(sign_message)
    message = str(fleet.redis.rpop(f"{installation.key_prefix}aside"))
    fleet.redis.lpush(queue, message)
    assert sent.get(timeout=60)["size"] == 3

    # The same message again, once its record is gone; and under another id.
    fleet.redis.delete(fleet.job_key(sent.id))
    fleet.redis.lpush(queue, message)
    assert fleet.ended_with(sent.id) == "signature_used"
    other = str(uuid.uuid4())
    fleet.redis.lpush(queue, message.replace(sent.id, other))
    assert fleet.refused(other) == "signature_invalid"
    assert fleet.fake.versions()[sent.id] == 1


def test_a_suspect_is_tried_in_its_own_process_with_its_signature(fleet: Attacked) -> None:
    job = fleet.fake.submit(hold=1)
    fleet.fake.running(job)
    # Somebody's word that it is cancelled would have spared it that, and its neighbours not.
    fleet.redis.hset(fleet.job_key(job.id), mapping={"lost": "1", "cancel": "1"})
    worker = fleet.worker
    worker.kill()
    fleet.worker = fleet.installation.start_celery("second")
    assert fleet.fake.running(job, 2).pid != fleet.worker.pid
    fleet.fake.let_go(job)

    assert job.wait(60).file_id == f"{job.id}-2"
