"""`--on-done` and `b2jobs words`: who is told, and what could not be."""

from __future__ import annotations

from acceptance.conftest import Run
from b2jobs.words import Words
from support.fake import Fake
from support.installation import Installation
from support.waiting import eventually

UPLOAD = ("upload", "data://.my/x", "b2://some-bucket/x")


def told(installation: Installation) -> int:
    return int(installation.redis.llen(f"{installation.key_prefix}app-queue"))


def test_tasks_and_webhooks_are_named_and_what_failed_is_sent_again_or_dropped(
    idle: Run, fake: Fake
) -> None:
    installation = fake.installation
    queue = f"{installation.key_prefix}app-queue"
    installation.redis.set(queue, "no queue")
    installation.start_celery(B2JOBS_WEBHOOK_RETRY_SECONDS="1")
    hook = "https://hooks.example/stored?token=secret"

    job = idle(*UPLOAD, "--on-done", "app.stored:app-queue", "--on-done", hook).out.strip()

    words = Words(installation.client.records)
    eventually(lambda: words.counts() == {"waiting": 0, "undelivered": 2})
    listed = idle("words", "list", "--standing", "undelivered", "--json")
    found = {word["to"]: word for word in listed.lines}
    assert set(found) == {"app.stored", "https://hooks.example/stored"}
    assert all(word["job"] == job for word in listed.lines)
    assert "secret" not in listed.out
    task, web = found["app.stored"]["id"], found["https://hooks.example/stored"]["id"]
    shown = idle("words", "show", web)
    assert "webhook_hosts" in shown.out
    assert job in shown.out
    installation.redis.delete(queue)
    assert idle("words", "resend", task).out == f"{task} resent\n"
    eventually(lambda: told(installation) == 1)
    assert idle("words", "drop", "--all", "--json").lines == [{"id": web, "dropped": True}]
    gone = idle("words", "resend", web)
    assert (gone.status, gone.out) == (2, "")
    assert "[word_not_found]" in gone.err
    assert idle("words", "drop", task, "--all").status == 2


def test_runs_of_a_schedule_are_told(idle: Run, fake: Fake) -> None:
    installation = fake.installation
    installation.start_celery()
    arguments = ("source=data://.my/x", "destination=b2://some-bucket/x")
    on_done = 'on_done=["app.stored","app-queue"]'

    idle("schedule", "add", "often", "upload", *arguments, on_done, "--every", "1")

    eventually(lambda: told(installation) >= 2)
    assert idle("schedule", "remove", "often").status == 0
    before = told(installation)
    run = idle("schedule", "add", "seldom", "upload", *arguments, on_done, "--every", "1d")
    assert run.status == 0
    assert idle("schedule", "run", "seldom", "--wait").status == 0
    eventually(lambda: told(installation) > before)
