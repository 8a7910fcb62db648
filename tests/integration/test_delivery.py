"""A job's way through delivery, with work that moves nothing."""

from __future__ import annotations

import pytest

import b2jobs
from support.fake import Fake


def test_a_job_is_done_once_and_leaves_only_its_record(fake: Fake) -> None:
    worker = fake.installation.start_celery()

    job = fake.submit()

    assert job.wait(120).file_id == f"{job.id}-1"
    assert fake.versions() == {job.id: 1}
    assert fake.unfinished() == set()
    assert worker.stop() == 0
    assert fake.installation.leftovers() == set()


def test_a_failure_is_data(fake: Fake) -> None:
    fake.installation.start_celery()

    job = fake.submit(end="source_missing")

    with pytest.raises(b2jobs.JobFailed) as caught:
        job.wait(120)
    assert caught.value.failure.model_dump() == {
        "code": "source_missing",
        "message": "asked to fail",
        "hint": "",
        "act": "caller",
        "attempts": 1,
    }
    assert fake.unfinished() == set()
