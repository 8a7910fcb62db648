"""Beside an application's own Celery: its worker, its beat, revoke, events, priority steps."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

import b2jobs
from b2jobs.redis import QUEUES
from support.fake import Fake
from support.foreign_app import KWARGS, make_app
from support.processes import Process
from support.waiting import eventually


@pytest.fixture
def theirs(fake: Fake) -> Iterator[Celery]:
    app = make_app(fake.installation.redis_url, fake.installation.key_prefix)
    yield app
    gc.collect()  # results unsubscribe when they are collected, which needs their Redis
    app.close()


def their_worker(fake: Fake, *words: str) -> Process:
    """The application's worker: it consumes `celery`, and knows nothing of b2jobs' tasks."""
    fake.folder.mkdir(exist_ok=True)
    return fake.installation.start_celery(
        "theirs", app="support.foreign_app", queue_names="celery", slots=4, more=words
    )


def script(**values: object) -> dict[str, Any]:
    return {**KWARGS, "info": {name: str(value) for name, value in values.items()}}


def send(app: Celery, queue: str | None = None, **values: object) -> AsyncResult:
    options = {"queue": queue} if queue else {}
    return app.send_task("b2jobs.upload", kwargs=script(**values), **options)


def state(fake: Fake, task_id: str) -> str:
    try:
        return fake.installation.client.job(task_id).state()
    except b2jobs.JobNotFound:
        return ""


def test_the_routes_name_the_queue_of_the_workers(fake: Fake, theirs: Celery) -> None:
    assert b2jobs.celery_routes == {"b2jobs.*": {"queue": QUEUES["normal"]}}
    theirs.send_task("b2jobs.sync", kwargs={})
    assert fake.installation.redis.llen(f"{fake.installation.key_prefix}b2jobs") == 1


def test_their_worker_beside_ours_loses_none_of_a_thousand(fake: Fake, theirs: Celery) -> None:
    # Without routes its worker takes them first, and they end as NotRegistered: 30 of 30.
    their_worker(fake)
    fake.installation.start_celery(slots=8)
    own = [theirs.send_task("theirs.work", args=[n]) for n in range(50)]
    sent = [theirs.send_task("b2jobs.upload", kwargs=KWARGS) for _ in range(1000)]

    eventually(lambda: fake.installation.client.records.counts()["succeeded"] == 1000)

    assert [task.get(timeout=60) for task in own] == [n * 2 for n in range(50)]
    metas = fake.installation.redis.mget([theirs.backend.get_key_for_task(t.id) for t in sent])
    assert all(json.loads(meta)["status"] == "SUCCESS" for meta in metas)
    assert sent[-1].get(timeout=60)["job"] == sent[-1].id
    assert fake.versions() == dict.fromkeys((task.id for task in sent), 1)


def test_an_entry_of_their_beat_is_done(fake: Fake) -> None:
    their_worker(fake, "-B", "--schedule", str(fake.folder / "beat"))
    fake.installation.start_celery()
    eventually(lambda: fake.installation.client.records.counts()["succeeded"] >= 2)


def revoked(fake: Fake, task: AsyncResult) -> None:
    eventually(lambda: state(fake, task.id) == "cancelled", what=lambda: state(fake, task.id))
    with pytest.raises(TaskRevokedError):
        task.get(timeout=30)
    assert task.id not in fake.versions()
    eventually(lambda: task.id not in fake.unfinished())


@pytest.mark.parametrize("terminate", [False, True])
def test_revoking_a_running_job_cancels_it(fake: Fake, theirs: Celery, terminate: bool) -> None:
    fake.installation.start_celery()
    task = send(theirs, hold=1)
    eventually(lambda: fake.events("start", task.id))

    task.revoke(terminate=terminate)  # what Flower's buttons send

    revoked(fake, task)


def test_revoking_queued_and_waiting_jobs_cancels_them_for_good(fake: Fake, theirs: Celery) -> None:
    # The record stayed queued, was rung again and again, and ran when the worker was restarted.
    worker = fake.installation.start_celery(slots=1)
    blocking = send(theirs, hold=1)
    eventually(lambda: fake.events("start", blocking.id))
    ours = fake.submit()
    queued = theirs.AsyncResult(ours.id)
    later = theirs.send_task("b2jobs.upload", kwargs=KWARGS, countdown=600)
    unseen = send(theirs)  # no slot is free: its message lies in the queue, without a record
    eventually(lambda: state(fake, ours.id) == "queued")

    theirs.control.revoke([queued.id, later.id, unseen.id])

    revoked(fake, queued)
    eventually(lambda: theirs.backend.get_state(unseen.id) == "REVOKED")
    worker.stop()
    fake.installation.start_celery("second")
    eventually(lambda: state(fake, blocking.id) in ("queued", "running"))
    fake.submit().wait(60)
    for task in (queued, later, unseen):
        revoked(fake, task)
    assert {event.job for event in fake.events("start")}.isdisjoint({queued.id, unseen.id})


def test_revoking_while_only_their_worker_runs_holds_too(fake: Fake, theirs: Celery) -> None:
    their_worker(fake)
    theirs.send_task("theirs.work", args=[1]).get(timeout=60)
    unseen, ours = send(theirs), fake.submit()
    theirs.control.revoke([unseen.id, ours.id])
    eventually(lambda: theirs.backend.get_state(ours.id) == "REVOKED")

    fake.installation.start_celery()

    fake.submit().wait(60)
    revoked(fake, unseen)
    revoked(fake, theirs.AsyncResult(ours.id))
    fake.installation.client.records.retry(ours.id)  # somebody wants it after all
    assert ours.wait(60).size == 3


def test_events_say_what_happened(fake: Fake, theirs: Celery) -> None:
    # They said task-succeeded for a download that had failed: Flower and exporters mislead.
    seen: dict[str, list[dict[str, Any]]] = {}
    stop = threading.Event()

    def listen() -> None:
        with theirs.connection() as connection:
            receiver = theirs.events.Receiver(
                connection,
                handlers={"*": lambda e: seen.setdefault(e.get("uuid", ""), []).append(e)},
            )
            for _ in receiver.itercapture(limit=None, timeout=None, wakeup=True):
                if stop.is_set():
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    fake.installation.start_celery(more=("-E",))
    eventually(lambda: any(e["type"] == "worker-online" for e in seen.get("", [])))
    jobs = {
        "task-succeeded": send(theirs),
        "task-failed": send(theirs, end="source_missing"),
        "task-retried": send(theirs, fail="outage", wait=600),
        "task-revoked": send(theirs, hold=1),
    }
    eventually(lambda: fake.events("start", jobs["task-revoked"].id))
    jobs["task-revoked"].revoke()

    told = {
        name: eventually(lambda: [e for e in seen.get(task.id, []) if e["type"] == name])  # noqa: B023
        for name, task in jobs.items()
    }
    stop.set()
    assert "source_missing" in told["task-failed"][0]["exception"]
    assert "outage" in told["task-retried"][0]["exception"]
    for name, task in jobs.items():
        ends = {e["type"] for e in seen[task.id]} - {"task-received", "task-started"}
        assert ends == {name}


@pytest.mark.parametrize("queue", [None, "b2jobs", "b2jobs.high"])
@pytest.mark.parametrize("separator", [":", "\x06\x16"])
def test_other_separators_and_steps_are_found(
    fake: Fake, theirs: Celery, queue: str | None, separator: str
) -> None:
    # Celery's own page on Redis proposes ten steps and ":"; kombu's default is four and two bytes.
    theirs.conf.task_routes = None
    theirs.conf.broker_transport_options |= {"sep": separator, "priority_steps": list(range(10))}
    fake.installation.start_celery()
    sent = [
        theirs.send_task("b2jobs.upload", kwargs=KWARGS, priority=priority, queue=queue)
        for priority in range(10)
    ]
    for task in sent:
        assert task.get(timeout=60)["size"] == 3


def test_a_key_of_another_kind_in_the_way_stops_nothing(fake: Fake, theirs: Celery) -> None:
    prefix = fake.installation.key_prefix
    for name in ("celery", "celery:3", "b2jobs:4"):
        fake.installation.redis.set(f"{prefix}{name}", json.dumps({"not": "a list"}))
    fake.installation.start_celery()
    assert send(theirs).get(timeout=60)["size"] == 3
    fake.submit(fail="outage", wait=0.1, times=1).wait(60)  # the keeper rings
