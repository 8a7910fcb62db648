"""The site's tests: jobs are recorded, and the test says what becomes of them."""

from __future__ import annotations

import os
import urllib.request
import uuid

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from pictures.tasks import app

import b2jobs
from b2jobs.testing import RecordingClient

PICTURE = b"\x89PNG" + bytes(1_500_000)
web = Client()


def upload(**more: str) -> str:
    """Send the form; where the browser is sent to."""
    given = SimpleUploadedFile("cat.png", PICTURE, "image/png")
    answer = web.post("/", {"file": given, **more})
    assert answer.status_code == 302, answer.content
    return str(answer["Location"])


def test_the_form_makes_a_job(b2jobs_client: RecordingClient) -> None:
    assert b"multipart/form-data" in web.get("/").content

    page = upload()

    [job] = b2jobs_client.jobs
    assert page == f"/pictures/{job.id}/"
    assert job.content == PICTURE
    assert job.request.target().name.endswith("/cat.png")
    assert job.on_done == []


def test_the_page_follows_the_job(b2jobs_client: RecordingClient) -> None:
    page = upload()
    [job] = b2jobs_client.jobs
    job.start(phase="sending", done=1, total=2)
    assert web.get(f"{page}end").json() == {
        "ended": False,
        "state": "running",
        "progress": {"phase": "sending", "done": 1, "total": 2},
    }
    assert b"progress" in web.get(page).content
    job.succeed()
    assert web.get(f"{page}end").json() == {"ended": True}
    assert b"cat.png is stored" in web.get(page).content


def test_a_failure_is_shown(b2jobs_client: RecordingClient) -> None:
    page = upload()
    b2jobs_client.jobs[0].fail("cap_exceeded", "The <cap> is reached.", act="operator")
    assert web.get(f"{page}end").json() == {"ended": True}
    assert b"The &lt;cap&gt; is reached." in web.get(page).content


def test_a_mail_is_sent_when_it_is_stored(b2jobs_client: RecordingClient) -> None:
    mail.outbox = []
    upload(email="me@example.com")
    [job] = b2jobs_client.jobs
    job.succeed()

    job.tell(app)

    [sent] = mail.outbox
    assert sent.to == ["me@example.com"]
    assert "It is stored." in sent.body


def test_what_is_refused_has_a_status(
    b2jobs_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status() -> int:
        given = SimpleUploadedFile("cat.png", PICTURE, "image/png")
        return web.post("/", {"file": given}).status_code

    with b2jobs_client.unavailable():
        assert status() == 503
    monkeypatch.setenv("B2JOBS_STAGED_BYTES", "1000000")
    assert status() == 413
    assert web.get("/pictures/unknown/").status_code == 404
    assert b2jobs_client.jobs == []


@pytest.mark.skipif("B2JOBS_REDIS_URL" not in os.environ, reason="needs a stack: b2jobs up")
def test_with_a_real_worker() -> None:
    bucket = f"pictures-{uuid.uuid4().hex[:12]}"
    b2jobs.bucket("create", bucket).wait(60)

    with override_settings(BUCKET=bucket):
        page = upload()
    while not web.get(f"{page}end").json()["ended"]:
        pass  # each look waits for the end

    assert b"cat.png is stored" in web.get(page).content
    url = web.get(f"{page}file")["Location"]
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == PICTURE
