"""What an application's own tests use."""

from __future__ import annotations

import asyncio
import hashlib
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

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


def test_deleting_a_prefix_is_a_batch_as_on_the_command_line(
    b2jobs_client: RecordingClient,
) -> None:
    one = b2jobs.delete("b2://some-bucket/a", versions="all")
    below = b2jobs.delete("b2://some-bucket/a/", versions="all", exclude=["*.keep"])
    awaited = asyncio.run(b2jobs.aio.delete("b2://some-bucket/b/"))

    assert not isinstance(one, b2jobs.BatchHandle)
    assert isinstance(below, b2jobs.BatchHandle)
    assert isinstance(awaited, b2jobs.AsyncBatchHandle)
    assert [job.kind for job in b2jobs_client.jobs] == ["delete", "batch", "batch"]
    b2jobs_client.asked("batch")[0].succeed(outcomes={"deleted": 3})
    assert below.wait().deleted == 3
    assert list(below.report())


@pytest.mark.parametrize(
    ("target", "given", "field"),
    [
        ("b2://some-bucket/a", {"min_age": 90}, "min_age"),
        ("b2://some-bucket/a", {"dry_run": True}, "dry_run"),
        ("b2://some-bucket/a", {"include": ["*"]}, "include"),
        ("b2id://4_z", {"ledger": "data://.my/x/"}, "ledger"),
        ("b2://some-bucket/a/", {"versions": "4_z1"}, "versions"),
        ("some-bucket/a/", {}, "target"),
    ],
)
def test_what_one_file_or_a_prefix_cannot_take_is_refused_by_name(
    b2jobs_client: RecordingClient, target: str, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(b2jobs.InvalidJob) as caught:
        b2jobs.delete(target, **given)
    assert caught.value.field == field
    assert b2jobs_client.jobs == []


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
        "move": {"source": "b2id://x", "destination": "b2://some-bucket/a"},
        "hide": {"target": "b2://some-bucket/a"},
        "unhide": {"target": "b2://some-bucket/a"},
        "retention": {"target": "b2://some-bucket/a", "retention": "none"},
        "hold": {"target": "b2://some-bucket/a"},
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


def test_a_job_is_found_by_its_id_and_no_other_is(b2jobs_client: RecordingClient) -> None:
    made = b2jobs.upload("data:,x", "b2://some-bucket/a")
    b2jobs_client.jobs[0].succeed()

    assert b2jobs.job(made.id).wait().name == "a"
    with pytest.raises(b2jobs.JobNotFound):
        b2jobs.job("another").state()

    async def found() -> str:
        return await b2jobs.aio.job(made.id).state()

    assert asyncio.run(found()) == "succeeded"


def test_bytes_are_kept_for_the_test(b2jobs_client: RecordingClient, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"from a path")
    b2jobs.upload(b"bytes", "b2://some-bucket/a")
    b2jobs.upload(path, "b2://some-bucket/folder/")
    b2jobs.upload(io.BytesIO(b"x" * 3_000_000), "b2://some-bucket/c", key="k")
    b2jobs.upload(b"the key has a job", "b2://some-bucket/c", key="k")
    b2jobs.upload("data:text/plain,inline", "b2://some-bucket/d")
    b2jobs.upload("data://.my/a", "b2://some-bucket/e")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"awa"
        yield b"ited"

    async def upload() -> None:
        await b2jobs.aio.upload(chunks(), "b2://some-bucket/f")

    asyncio.run(upload())
    a, b, c, d, e, f = b2jobs_client.jobs
    assert (a.content, b.content, c.content) == (b"bytes", b"from a path", b"x" * 3_000_000)
    assert (d.content, e.content, f.content) == (b"inline", None, b"awaited")
    b.succeed()
    result = b2jobs.job(b.id).wait()
    assert (result.name, result.size) == ("folder/a.png", 11)
    assert result.sha1 == hashlib.sha1(b"from a path").hexdigest()


def test_bytes_are_refused_as_by_the_real_client(
    b2jobs_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2JOBS_STAGED_BYTES", "10")
    with pytest.raises(b2jobs.InvalidJob, match="11 bytes") as caught:
        b2jobs.upload(b"x" * 11, "b2://some-bucket/a")
    assert caught.value.code == "staged_too_large"
    for source in (io.StringIO("text"), "no/location", 5):
        with pytest.raises(b2jobs.InvalidJob):
            b2jobs.upload(source, "b2://some-bucket/a")  # type: ignore[arg-type]  # that is it
    assert b2jobs_client.jobs == []


def test_batches_are_followed_and_steered(b2jobs_client: RecordingClient) -> None:
    batch = b2jobs.batch("data://.my/in/", "b2://some-bucket/in/")
    [job] = b2jobs_client.asked("batch")
    assert (batch.status().state, batch.status().reason) == ("queued", "in_line")
    assert batch.pause() == "queued"
    assert (batch.status().state, batch.reason()) == ("waiting", "paused")
    assert batch.resume() == "waiting"
    job.start(items=3, total_items=9, outcomes={"transferred": 1})
    assert (batch.status().items, batch.status().finished_items) == (3, 1)
    job.succeed(items=9, outcomes={"transferred": 8, "failed": 1}, codes={"source_missing": 1})
    assert b2jobs.batch_job(batch.id).status().failed_items == 1
    assert batch.wait().items == 9
    assert batch.retry(only_failed=True) == "queued"
    with pytest.raises(b2jobs.JobNotFound):
        b2jobs.batch_job(b2jobs.check().id).status()


def test_the_items_of_a_batch_are_recorded(b2jobs_client: RecordingClient) -> None:
    def items() -> Iterator[dict[str, str]]:
        yield {"source": "data://.my/a", "destination": "b2://some-bucket/a"}
        yield {"source": "nowhere", "destination": "b2://some-bucket/b"}

    batch = b2jobs.batch_items(items())
    [job] = b2jobs_client.jobs
    assert [type(item).__name__ for item in job.items] == ["Item", "Refusal"]
    assert job.items[0].destination == "b2://some-bucket/a"
    assert batch.status().items == 2
    job.succeed()
    lines = list(batch.lines())
    assert [line["status"] for line in lines] == ["transferred", "failed"]
    *_, summary = batch.report()
    assert '"lines":2' in summary

    def broken() -> Iterator[dict[str, str]]:
        yield {"source": "data://.my/a", "destination": "b2://some-bucket/a"}
        raise OSError("disk")

    with pytest.raises(b2jobs.JobFailed) as caught:
        b2jobs.batch_items(broken())
    assert (caught.value.code, str(caught.value.__cause__)) == ("feed_broken", "disk")


def test_who_is_told_is_recorded_and_told_when_asked(b2jobs_client: RecordingClient) -> None:
    app, told = Celery(set_as_current=False), []

    @app.task(name="app.stored")
    def stored(own: str, **about: Any) -> None:
        told.append((own, about["job"], about["state"], about["failure"]))

    on_done = [{"task": "app.stored", "args": ["mine"]}, "https://app.example/hook"]
    made = b2jobs.upload(b"x", "b2://some-bucket/a", on_done=on_done)
    [job] = b2jobs_client.jobs
    assert job.on_done == ["app.stored", "https://app.example/hook"]
    posted: list[tuple[str, dict[str, Any]]] = []
    with pytest.raises(AssertionError, match="has not ended"):
        job.tell(app, lambda *given: posted.append(given))

    job.succeed()
    with pytest.raises(AssertionError, match="give the application's Celery"):
        job.tell(post=lambda *given: posted.append(given))
    job.tell(app, lambda *given: posted.append(given))

    assert told == [("mine", made.id, "succeeded", None)]
    [(url, about)] = posted
    assert url == "https://app.example/hook"
    assert (about["type"], about["data"]["job"]) == ("job.succeeded", made.id)


def test_redis_is_away_when_asked(b2jobs_client: RecordingClient) -> None:
    handle = b2jobs.upload(b"x", "b2://some-bucket/a")
    with b2jobs_client.unavailable():
        for ask in (
            lambda: b2jobs.upload(b"y", "b2://some-bucket/b"),
            handle.state,
            handle.cancel,
            lambda: handle.wait(1),
            b2jobs.jobs,
            b2jobs.batch_job("x").pause,
            lambda: asyncio.run(b2jobs.aio.job(handle.id).wait(1)),
        ):
            with pytest.raises(b2jobs.QueueUnavailable):
                ask()
    assert handle.state() == "queued"
    assert len(b2jobs_client.jobs) == 1


# `events()` asked the real Redis, as `b2jobs.job(id)` once did.
def test_events_tell_what_the_test_says(b2jobs_client: RecordingClient) -> None:
    batch = b2jobs.batch("data://.my/in/", "b2://some-bucket/in/")
    other = b2jobs.check()
    [job] = b2jobs_client.asked("batch")
    job.start(items=9)
    job.start(items=9, finished=3)
    batch.pause()
    batch.resume()
    other.cancel()
    job.fail("cap_exceeded")
    batch.retry()
    job.succeed()

    told = list(b2jobs_client.events(job=batch.id))

    assert [event.event for event in told] == [
        *("submitted", "started", "progress", "paused", "resumed", "ended", "retried", "ended")
    ]
    assert told[2].details == {"items": 9, "finished": 3}
    assert [told[5].details, told[7].details] == [
        {"state": "failed", "code": "cap_exceeded"},
        {"state": "succeeded"},
    ]
    assert list(b2jobs_client.events(told[6].id, job=batch.id)) == told[7:]
    [submitted, ended] = b2jobs_client.events(kinds=["check"])
    assert ended.details == {"state": "cancelled", "code": "cancelled"}
    assert submitted.at <= ended.at
    with b2jobs_client.unavailable(), pytest.raises(b2jobs.QueueUnavailable):
        list(b2jobs_client.events())


def test_events_are_followed_as_they_come(b2jobs_client: RecordingClient) -> None:
    async def follow(after: str) -> list[str]:
        found = []
        async for event in b2jobs_client.awaitable().events(after, follow=True):
            found.append(event.event)
            if event.event == "ended":
                return found
        raise AssertionError("it is followed for ever")

    async def go() -> list[str]:
        b2jobs.check()
        [first] = b2jobs_client.events()
        following = asyncio.create_task(follow(first.id))
        await asyncio.sleep(0)
        b2jobs.check()
        b2jobs_client.jobs[-1].succeed()
        return await asyncio.wait_for(following, 10)

    assert asyncio.run(go()) == ["submitted", "ended"]
