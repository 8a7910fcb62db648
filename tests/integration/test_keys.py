"""`key`: one job, however many ask for it at once; priorities; expiry; trying failed jobs again."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import b2jobs
from support.fake import Fake
from support.installation import Installation
from support.waiting import eventually

SUBMIT = """
import sys, b2jobs
sys.stdin.readline()
print(b2jobs.upload("data:,x", "b2://some-bucket/x", key="the-key").id)
"""


def test_the_same_key_from_twenty_processes_at_once_is_one_job(fake: Fake) -> None:
    import subprocess

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMIT],
            env=fake.installation.env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    with ThreadPoolExecutor(20) as threads:
        ids = set(threads.map(lambda process: process.communicate("go\n", 60)[0], processes))
    assert len(ids) == 1

    worker = fake.installation.start_celery()

    [job_id] = (line.strip() for line in ids)
    fake.installation.client.job(job_id).wait(120)
    assert fake.versions() == {job_id: 1}
    assert len(fake.events("start")) == 1
    worker.stop()
    assert fake.installation.leftovers() == set()


def test_a_key_belongs_to_its_job_when_that_has_failed_too(fake: Fake) -> None:
    fake.installation.start_celery()
    first = fake.submit(key="k", fail="outage", retry=0)
    with pytest.raises(b2jobs.JobFailed):
        first.wait(120)

    again = fake.submit(key="k")

    assert again.id == first.id
    assert again.state() == "failed"


def test_urgent_jobs_go_before_a_migration(fake: Fake) -> None:
    low = [fake.submit(priority="low") for _ in range(5)]
    normal = [fake.submit() for _ in range(5)]
    high = [fake.submit(priority="high") for _ in range(5)]

    fake.installation.start_celery(slots=1)

    fake.ended([*low, *normal, *high])
    assert [event.job for event in fake.events("start")] == [
        job.id for job in (*high, *normal, *low)
    ]


def test_a_worker_leaves_priorities_alone_that_it_does_not_serve(fake: Fake) -> None:
    fake.installation.start_celery(queues="high")
    low, high = fake.submit(priority="low"), fake.submit(priority="high")
    high.wait(120)
    assert (low.state(), low.reason()) == ("queued", "no_worker")

    fake.installation.start_celery("late", queues="low")

    low.wait(120)


def test_a_job_that_was_not_started_in_time_expires(fake: Fake) -> None:
    job = fake.submit(expires=0.01)
    fake.installation.start_celery()
    with pytest.raises(b2jobs.JobFailed) as caught:
        job.wait(120)
    assert caught.value.code == "expired"
    assert fake.events("start") == []


def test_a_failed_job_says_why_and_can_be_tried_again(fake: Fake) -> None:
    fake.installation.start_celery()
    job = fake.submit(fail="outage", times=2, wait=0.1, retry=0.15)
    with pytest.raises(b2jobs.JobFailed):
        job.wait(120)
    record = job.record()
    assert record.failure is not None
    assert (record.failure.code, record.failure.act) == ("outage", "nobody")
    attempts = record.attempts

    fake.installation.client.records.retry(job.id)

    assert job.wait(120).attempts > attempts
    assert job.record().failure is None
    assert fake.versions() == {job.id: 1}


def test_a_bug_fails_the_job_and_not_the_worker(fake: Fake) -> None:
    worker = fake.installation.start_celery()
    job = fake.submit(bug=1)
    with pytest.raises(b2jobs.JobFailed) as caught:
        job.wait(120)
    assert (caught.value.code, caught.value.failure.act) == ("internal_error", "us")
    assert fake.submit().wait(120).size == 3
    assert fake.unfinished() == set()
    assert worker.status is None


def test_progress_is_published(fake: Fake) -> None:
    fake.installation.start_celery()
    job = fake.submit(hold=1)
    seen = eventually(job.progress)
    assert seen["phase"] == "sending"
    assert job.record().as_json()["worker"]
    job.cancel()


def test_jobs_are_listed_found_again_and_tried_again(installation: Installation) -> None:
    client = installation.client
    there = "data://.my/x"
    asked = [client.upload(there, f"b2://some-bucket/{number}") for number in range(3)]
    other = client.check()

    found = client.jobs(kind="upload", limit=2)
    assert [record.id for record in found] == [asked[2].id, asked[1].id]
    assert client.jobs()[0].id == other.id

    again = client.job(asked[0].id)
    assert again.cancel() == "cancelled"
    assert [record.id for record in client.jobs(state="cancelled")] == [again.id]
    assert again.retry() == "queued"
    assert again.retry() == "queued"
    assert {record.id for record in client.jobs(state="queued", kind="upload")} == {
        job.id for job in asked
    }
