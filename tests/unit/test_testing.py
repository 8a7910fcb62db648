"""What an application's own tests use."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import b2jobs
import b2jobs.aio
from b2jobs.requests import Bucket, Job
from b2jobs.results import BucketResult, Result
from b2jobs.testing import RecordingClient, plausible_result


def test_the_modules_functions_are_recorded(b2jobs_client: RecordingClient) -> None:
    handle = b2jobs.upload("data://.my/a.png", "b2://some-bucket/folder/", key="a")

    [job] = b2jobs_client.jobs
    assert (job.kind, job.id, handle.state()) == ("upload", handle.id, "queued")
    assert job.request.target().name == "folder/a.png"  # type: ignore[attr-defined]  # an Upload

    job.succeed(size=7)

    result = handle.wait()
    assert (result.url, result.size, result.job) == (
        "https://f000.backblazeb2.com/file/some-bucket/folder/a.png",
        7,
        handle.id,
    )


def test_requests_are_validated_as_by_the_real_client(b2jobs_client: RecordingClient) -> None:
    with pytest.raises(b2jobs.InvalidJob):
        b2jobs.upload("data://.my/a.png", "b2://some-bucket/a//b")
    assert b2jobs_client.jobs == []


def test_failure_and_cancellation_are_raised(b2jobs_client: RecordingClient) -> None:
    failing, unwanted = b2jobs.delete("b2://some-bucket/a"), b2jobs.check()
    b2jobs_client.asked("delete")[0].fail("cap_exceeded", act="operator")
    assert unwanted.cancel() == "cancelled"

    with pytest.raises(b2jobs.JobFailed) as caught:
        failing.wait()
    assert (caught.value.code, caught.value.failure.act) == ("cap_exceeded", "operator")
    with pytest.raises(b2jobs.JobCancelled):
        unwanted.wait()


def test_outcomes_can_be_said_beforehand(b2jobs_client: RecordingClient) -> None:
    def created(job: Job) -> Result:
        assert isinstance(job, Bucket)
        return BucketResult(action="create", status="created", buckets=[{"name": job.name}])

    b2jobs_client.answer("bucket", created)
    b2jobs_client.answer("upload")

    assert b2jobs.bucket("create", "some-bucket").wait().buckets == [{"name": "some-bucket"}]
    assert b2jobs.upload("data:,x", "b2://some-bucket/a").wait().uri == "b2://some-bucket/a"


def test_the_same_key_is_one_job(b2jobs_client: RecordingClient) -> None:
    first, second = (b2jobs.upload("data:,x", "b2://some-bucket/a", key="k") for _ in range(2))
    assert first.id == second.id
    assert len(b2jobs_client.jobs) == 1


def test_awaitable_twins_see_the_same_jobs(b2jobs_client: RecordingClient) -> None:
    async def ask() -> object:
        handle = await b2jobs.aio.upload("data:,x", "b2://some-bucket/a")
        assert await handle.state() == "queued"
        b2jobs_client.jobs[0].start(done=1, total=2)
        assert await handle.progress() == {"done": 1, "total": 2}
        b2jobs_client.jobs[0].succeed()
        return (await handle.wait(5)).name

    assert asyncio.run(ask()) == "a"


def test_waiting_for_what_nobody_ends_says_so(b2jobs_client: RecordingClient) -> None:
    handle = b2jobs.check()
    with pytest.raises(AssertionError, match="nothing in this test will end it"):
        handle.wait()
    with pytest.raises(b2jobs.WaitTimeout):
        handle.wait(0.01)


@pytest.mark.parametrize("kind", sorted(b2jobs.requests.kinds.RESULTS))
def test_every_kind_has_a_plausible_result(kind: str, b2jobs_client: RecordingClient) -> None:
    arguments = {
        "upload": {"source": "data:,x", "destination": "b2://some-bucket/a"},
        "download": {"source": "b2://some-bucket/a"},
        "copy": {"source": "b2id://x", "destination": "b2://some-bucket/a"},
        "delete": {"target": "b2://some-bucket/a"},
        "bucket": {"action": "list"},
        "share": {"source": "b2://some-bucket/a"},
        "check": {},
    }
    if kind not in arguments:
        pytest.skip("its own tests say how it is asked")
    request = b2jobs.requests.kinds.build(kind, arguments[kind])
    assert plausible_result(request).kind == kind


def test_it_works_without_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; from b2jobs.testing import RecordingClient"
    subprocess.run([sys.executable, "-c", code], check=True)
