"""Cancel at every stage: queued, running, parked, between two attempts, ended."""

from __future__ import annotations

import pytest

import b2jobs
from support.fake import Fake
from support.processes import kill_tree
from support.waiting import eventually


def cancelled(fake: Fake, job: b2jobs.Handle) -> None:
    eventually(lambda: job.state() == "cancelled", what=lambda: str(job.record()))
    with pytest.raises(b2jobs.JobCancelled):
        job.wait(1)
    assert fake.versions() == {}
    assert fake.unfinished() == set()


def test_a_queued_job_never_starts_not_even_by_a_later_worker(fake: Fake) -> None:
    job = fake.submit()
    assert job.cancel() == "cancelled"

    worker = fake.installation.start_celery()

    fake.submit().wait(120)
    assert fake.events("start", job.id) == []
    assert job.state() == "cancelled"
    worker.stop()
    assert fake.installation.leftovers() == set()


def test_a_running_job_stops_and_removes_what_it_began(fake: Fake) -> None:
    worker = fake.installation.start_celery()
    job = fake.submit(hold=1)
    fake.running(job)
    eventually(lambda: fake.unfinished() == {job.id})

    assert job.cancel() == "running"

    cancelled(fake, job)
    worker.stop()
    assert fake.installation.leftovers() == set()


def test_a_parked_job_is_cleaned_up_before_it_ends(fake: Fake) -> None:
    fake.installation.start_celery()
    job = fake.submit(fail="outage", wait=600)
    eventually(lambda: job.state() == "waiting")
    assert fake.unfinished() == {job.id}

    job.cancel()

    cancelled(fake, job)
    assert len(fake.events("start", job.id)) == 1


def test_a_job_whose_worker_died_is_cancelled_by_the_next_one(fake: Fake) -> None:
    worker = fake.installation.start_celery("first")
    job = fake.submit(hold=1)
    fake.running(job)
    kill_tree(worker)

    job.cancel()
    fake.installation.start_celery("second")

    cancelled(fake, job)
    assert len(fake.events("start", job.id)) == 1


def test_a_job_that_ended_stays_as_it_is(fake: Fake) -> None:
    fake.installation.start_celery()
    job = fake.submit()
    job.wait(120)
    assert job.cancel() == "succeeded"
    assert fake.versions() == {job.id: 1}


def test_a_cancelled_job_can_be_tried_again(fake: Fake) -> None:
    fake.installation.start_celery()
    job = fake.submit(fail="outage", wait=600, times=1)
    eventually(lambda: job.state() == "waiting")
    job.cancel()
    cancelled(fake, job)

    assert fake.installation.client.records.retry(job.id) == "queued"

    assert job.wait(120).attempts == 3
    assert fake.versions() == {job.id: 1}
