"""The application's tests: jobs are recorded, and the test says what becomes of them."""

from __future__ import annotations

import asyncio
import os
import urllib.request
import uuid

import app
import pytest
from fastapi.testclient import TestClient

import b2jobs
from b2jobs.testing import RecordingClient

PICTURE = b"\x89PNG" + bytes(1_500_000)
web = TestClient(app.app, follow_redirects=False)


def upload(content: bytes = PICTURE) -> str:
    """Send the form; where the browser is sent to."""
    answer = web.post("/", files={"file": ("cat.png", content, "image/png")})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_the_form_makes_a_job(b2jobs_client: RecordingClient) -> None:
    page = upload()

    [job] = b2jobs_client.jobs
    assert page == f"/pictures/{job.id}"
    assert job.content == PICTURE
    assert job.request.target().name.endswith("/cat.png")
    assert "EventSource" in web.get(page).text


def test_the_page_is_told_of_progress_and_end(b2jobs_client: RecordingClient) -> None:
    page = upload()
    [job] = b2jobs_client.jobs
    job.start(phase="sending", done=1, total=2)

    async def told() -> list[str]:
        events = app.follow(job.id)
        first = await anext(events)
        job.succeed()
        return [first, *[event async for event in events]]

    progress, end = asyncio.run(told())

    assert progress.startswith("event: progress")
    assert '"done": 1' in progress
    assert end.startswith("event: end")
    assert "cat.png is stored" in web.get(page).text


def test_a_failure_is_shown(b2jobs_client: RecordingClient) -> None:
    page = upload()
    b2jobs_client.jobs[0].fail("cap_exceeded", "The <cap> is reached.", act="operator")
    assert "event: end" in web.get(f"{page}/events").text
    assert "The &lt;cap&gt; is reached." in web.get(page).text


def test_the_link_opens_a_private_file(b2jobs_client: RecordingClient) -> None:
    page = upload()
    b2jobs_client.jobs[0].succeed()
    shared = b2jobs.results.ShareResult(url="https://f000.example/cat.png?Authorization=x")
    b2jobs_client.answer("share", shared)
    assert web.get(f"{page}/file").headers["location"] == shared.url


def test_what_is_refused_has_a_status(
    b2jobs_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"file": ("cat.png", PICTURE, "image/png")}
    with b2jobs_client.unavailable():
        assert web.post("/", files=files).status_code == 503
    monkeypatch.setenv("B2JOBS_STAGED_BYTES", "1000000")
    assert web.post("/", files=files).status_code == 413
    assert web.get("/pictures/unknown").status_code == 404
    assert b2jobs_client.jobs == []


@pytest.mark.skipif("B2JOBS_REDIS_URL" not in os.environ, reason="needs a stack: b2jobs up")
def test_with_a_real_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BUCKET", f"pictures-{uuid.uuid4().hex[:12]}")
    b2jobs.bucket("create", app.BUCKET).wait(60)

    page = upload()

    assert "event: end" in web.get(f"{page}/events").text
    assert "cat.png is stored" in web.get(page).text
    url = web.get(f"{page}/file").headers["location"]
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == PICTURE
