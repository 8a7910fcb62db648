"""Schedules with real keepers on a real Redis: each slot once, whoever dies."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from b2jobs.errors import InvalidJob
from b2jobs.schedule import define
from b2jobs.schedule_status import status_of
from b2jobs.schedules import Schedules
from b2jobs_worker.schedule import ScheduleChore
from b2jobs_worker.settings import Settings
from support.fake import Fake
from support.installation import Installation
from support.redis_server import RedisServer
from support.waiting import eventually

UPLOAD = {
    "job": "upload",
    "arguments": {"source": "data:,x", "destination": "b2://some-bucket/x"},
}
NOW = 1_780_000_000.0


def chore(installation: Installation, **schedules: object) -> ScheduleChore:
    settings = Settings(
        redis_url=installation.redis_url,
        key_prefix=installation.key_prefix,
        schedules=schedules,
    )
    return ScheduleChore(settings, installation.client.records)


def keys(installation: Installation) -> list[str]:
    """The keys of all jobs there are, the oldest slot first."""
    records = installation.client.records
    found = {  # one that goes on meanwhile is listed in two states
        record.id: record.key
        for state in ("queued", "running", "waiting", "succeeded", "failed", "cancelled")
        for record in records.listed(state, limit=10_000)  # type: ignore[arg-type]  # literals
    }
    return sorted(found.values())


def look(one: ScheduleChore, now: float) -> None:
    for listed in one.schedules.listed():
        one.tend(listed, now)


def test_many_keepers_at_once_start_each_slot_once(installation: Installation) -> None:
    chores = [chore(installation) for _ in range(6)]
    chores[0].schedules.add(define("busy", {**UPLOAD, "every": 10, "overlap": "replace"}))
    look(chores[0], NOW)
    gate = threading.Barrier(len(chores))

    def keep(one: ScheduleChore) -> None:
        for second in range(1, 61, 3):
            gate.wait()
            look(one, NOW + second)

    threads = [threading.Thread(target=keep, args=(one,)) for one in chores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys(installation)) == len(set(keys(installation))) == 5
    status = status_of(chores[0].schedules.state("busy"))
    assert len(status.runs or ()) == 5


def test_a_keeper_that_dies_between_submitting_and_noting_doubles_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = chore(installation), chore(installation)
    first.schedules.add(define("s", {**UPLOAD, "every": 10}))
    look(first, NOW)
    with monkeypatch.context() as patch:
        patch.setattr(first.schedules, "swap", lambda *_: False)
        look(first, NOW + 10)
    assert len(keys(installation)) == 1
    look(second, NOW + 11)
    assert len(keys(installation)) == 1
    assert status_of(second.schedules.state("s")).next == NOW + 20


def test_the_config_file_decides_over_its_own_schedules_only(installation: Installation) -> None:
    daily = {**UPLOAD, "cron": "0 3 * * *", "timezone": "Europe/Berlin"}
    with_both = chore(installation, nightly=daily, hourly={**UPLOAD, "every": 3600})
    with_both.round()
    with_both.schedules.add(define("mine", {**UPLOAD, "every": 60}))
    assert [each.schedule.name for each in with_both.schedules.listed()] == [
        "hourly",
        "mine",
        "nightly",
    ]

    changed = chore(installation, nightly={**daily, "cron": "0 4 * * *"})
    changed.round()

    listed = changed.schedules.listed()
    assert [(each.schedule.name, each.origin) for each in listed] == [
        ("mine", "added"),
        ("nightly", "config"),
    ]
    assert listed[1].schedule.cron == "0 4 * * *"
    with pytest.raises(InvalidJob, match="config file"):
        changed.schedules.remove("nightly")
    with pytest.raises(InvalidJob, match="config file"):
        changed.schedules.add(define("nightly", daily))
    assert changed.schedules.remove("mine")
    assert not changed.schedules.remove("mine")


def test_workers_fire_and_the_list_shows_how_it_ended(fake: Fake) -> None:
    schedules = Schedules(fake.installation.client.records)
    schedules.add(define("good", {**UPLOAD, "every": 1}))
    bad = {**UPLOAD, "arguments": {**UPLOAD["arguments"], "info": {"end": "source_missing"}}}
    schedules.add(define("bad", {**bad, "every": 1}))
    fake.installation.start_celery("w1")
    fake.installation.start_celery("w2")

    def shown() -> dict[str, dict[str, object]]:
        return {each.schedule.name: each.as_json() for each in schedules.listed()}

    def ended(name: str, state: str) -> list[dict[str, object]]:
        runs = shown()[name]["runs"]
        assert isinstance(runs, list)
        return [run for run in runs if run["state"] == state]

    eventually(lambda: len(ended("good", "succeeded")) >= 3, timeout=60)
    eventually(lambda: ended("bad", "failed"), timeout=60)
    assert ended("good", "succeeded")[-1]["result"]["size"] == 3  # type: ignore[index]  # JSON
    assert ended("bad", "failed")[-1]["failure"]["code"] == "source_missing"  # type: ignore[index]  # JSON
    assert shown()["good"]["next"]
    assert len(keys(fake.installation)) == len(set(keys(fake.installation)))


def test_a_run_by_hand(fake: Fake) -> None:
    schedules = Schedules(fake.installation.client.records)
    schedules.add(define("yearly", {**UPLOAD, "cron": "0 0 1 1 *"}))
    fake.installation.start_celery()

    job = fake.installation.client.job(schedules.run("yearly"))

    job.wait(30)
    eventually(
        lambda: [run.state for run in schedules.listed()[0].status.runs or ()] == ["succeeded"]
    )
    assert fake.versions() == {job.id: 1}
    with pytest.raises(InvalidJob, match="no schedule"):
        schedules.run("monthly")


def test_a_paused_schedule_waits_whoever_keeps_it(fake: Fake) -> None:
    """Also one of the config file, which every keeper writes down anew when it differs."""
    installation = fake.installation
    schedules = Schedules(installation.client.records)
    own = chore(installation, configured={**UPLOAD, "every": 1, "overlap": "replace"})
    own.round()
    assert schedules.pause("configured")
    assert not schedules.pause("configured")
    now = time.time()
    for second in range(5):
        own.round()
        look(own, now + second)
    assert keys(installation) == []
    (listed,) = schedules.listed()
    assert listed.as_json()["paused"]
    assert listed.as_json()["next"] is None
    said = installation.run("schedule", "show", "configured")
    assert "no run begins by itself" in said.stdout
    assert "It has not run yet." in said.stderr

    schedules.run("configured")
    assert len(keys(installation)) == 1
    assert schedules.resume("configured")
    assert not schedules.resume("configured")
    now = time.time()
    look(own, now)
    look(own, now + 1)
    assert len(keys(installation)) == 2
    shown = installation.run("schedule", "show", "configured").stdout
    assert shown.count("\nnext  20") == 5
    assert "started by hand" in shown
    with pytest.raises(InvalidJob, match="no schedule"):
        schedules.pause("nobody")


def test_redis_restarts_and_keepers_die(
    make_redis: Callable[..., RedisServer], make_installation: Callable[..., Installation]
) -> None:
    """RedBeat, as tried, ends with an AttributeError when Redis comes back; a keeper goes on."""
    redis = make_redis(appendonly=True, appendfsync="always")
    installation = make_installation(redis_url=redis.url)
    schedules = Schedules(installation.client.records)
    schedules.add(define("s", {**UPLOAD, "every": 1, "overlap": "replace", "missed": "run"}))
    fake = Fake(installation)
    first = installation.start_celery("w1")
    installation.start_celery("w2")
    eventually(lambda: len(fake.versions()) >= 2, timeout=60)

    redis.kill()
    redis.start()
    before = eventually(lambda: len(fake.versions()), timeout=60)
    eventually(lambda: len(fake.versions()) >= before + 2, timeout=90)
    first.kill()
    before = len(fake.versions())
    eventually(lambda: len(fake.versions()) >= before + 2, timeout=90)

    schedules.remove("s")
    eventually(lambda: not installation.client.records.counts()["running"], timeout=60)
    assert set(fake.versions().values()) == {1}
    assert len(keys(installation)) == len(set(keys(installation)))


def test_celery_beat_of_an_application_sends_our_jobs(fake: Fake) -> None:
    """Its entries are plain `send_task`s; the record is made when a worker receives them."""
    from celery import Celery
    from celery.beat import Scheduler

    options = {"global_keyprefix": fake.installation.key_prefix}
    app = Celery(
        "theirs",
        broker=fake.installation.redis_url,
        backend=fake.installation.redis_url,
        set_as_current=False,
    )
    app.conf.update(
        broker_transport_options=options,
        result_backend_transport_options=options,
        beat_schedule={
            "nightly": {
                "task": "b2jobs.upload",
                "schedule": 1.0,
                "kwargs": {**UPLOAD["arguments"]},
            }
        },
    )
    fake.installation.start_celery()
    scheduler = Scheduler(app=app, lazy=False)
    scheduler.setup_schedule()

    eventually(lambda: (scheduler.tick(), len(fake.versions()) >= 2)[1], timeout=60)

    assert set(fake.versions().values()) == {1}
    assert all(json.dumps(key) for key in keys(fake.installation))
