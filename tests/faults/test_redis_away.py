"""Redis that restarts, forgets, is cut off or full, while jobs flow that move nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

import b2jobs
from support.emulator import LocalB2
from support.fake import Fake
from support.installation import Installation
from support.redis_server import RedisServer
from support.synced import Pair
from support.waiting import eventually

Make = Callable[..., Installation]
MakeRedis = Callable[..., RedisServer]


def all_succeeded(fake: Fake, jobs: list[b2jobs.Handle]) -> None:
    states = fake.ended(jobs)
    assert Counter(states.values()) == {"succeeded": len(jobs)}
    assert fake.versions() == dict.fromkeys(states, 1)
    assert fake.unfinished() == set()


def test_a_restart_with_its_file_loses_and_repeats_nothing(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    server = make_redis(appendonly=True, appendfsync="always")
    fake = Fake(make_installation(server.url))
    worker = fake.installation.start_celery()
    running, *queued = [fake.submit(hold=1), *(fake.submit(sleep=0.1) for _ in range(30))]
    fake.running(running)

    server.kill()
    with pytest.raises(b2jobs.QueueUnavailable):
        fake.submit()
    server.start()

    fake.let_go(running)
    all_succeeded(fake, [running, *queued])
    assert len(fake.events("start", running.id)) == 1
    later = fake.submit()
    assert later.wait(120).file_id == f"{later.id}-1"
    worker.stop()
    assert fake.installation.leftovers() == set()


def test_a_redis_that_forgot_everything_ends_what_runs_and_nothing_stays_behind(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    # Nobody would go on with what such a job left unfinished: its record is gone.
    server = make_redis(appendonly=False)
    fake = Fake(make_installation(server.url))
    worker = fake.installation.start_celery()
    job = fake.submit(hold=1)
    fake.running(job)

    server.kill()
    server.start()

    eventually(lambda: fake.events("record_lost", job.id))
    assert fake.unfinished() == set()
    assert fake.versions() == {}
    with pytest.raises(b2jobs.JobNotFound):
        job.state()
    later = fake.submit()
    assert later.wait(120).file_id == f"{later.id}-1"
    assert worker.stop() == 0


def test_jobs_flow_while_connections_are_cut(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    server = make_redis()
    fake = Fake(make_installation(server.url))
    workers = [fake.installation.start_celery(f"w{i}", slots=4) for i in range(2)]
    jobs = [fake.submit(sleep=0.2, steps=2) for _ in range(120)]
    counts = fake.installation.client.records.counts
    for done in (20, 50, 80):
        eventually(lambda done=done: counts()["succeeded"] >= done, timeout=120)
        assert server.cut_connections() >= len(workers)

    all_succeeded(fake, jobs)
    assert Counter(event.job for event in fake.events("commit")) == {job.id: 1 for job in jobs}
    assert [worker.stop() for worker in workers] == [0, 0]


def test_a_full_redis_refuses_new_jobs_and_finishes_those_it_has(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    server = make_redis(maxmemory_policy="noeviction")
    fake = Fake(make_installation(server.url))
    jobs = [fake.submit(sleep=0.1, steps=2) for _ in range(20)]
    failing = fake.submit(fail="outage", times=1, wait=1)
    cancelled = fake.submit(hold=1)
    worker = fake.installation.start_celery(slots=2)
    fake.running(jobs[0])
    used = int(server.client().info("memory")["used_memory"])
    server.set("maxmemory", max(1, used // 2))

    with pytest.raises(b2jobs.QueueUnavailable, match="maxmemory"):
        fake.submit()

    # Workers wait for nothing: ending jobs is what frees memory. They did exit here once.
    all_succeeded_without = [*jobs, failing]
    eventually(
        lambda: (
            fake.installation.client.records.counts()["succeeded"] == len(all_succeeded_without)
        ),
        timeout=120,
    )
    assert cancelled.cancel() in ("running", "cancelled")
    eventually(lambda: cancelled.state() == "cancelled")
    server.set("maxmemory", 0)
    assert fake.submit().wait(120).size == 3
    assert worker.status is None
    assert worker.stop() == 0
    assert fake.unfinished() == set()
    assert fake.installation.leftovers() == set()


def test_messages_of_other_applications_outlast_a_full_redis(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    from celery import Celery

    server = make_redis(maxmemory_policy="noeviction")
    fake = Fake(make_installation(server.url, key_prefix=""))
    foreign = Celery("foreign", broker=server.url, backend=server.url, set_as_current=False)
    kwargs = {"source": "data:,x", "destination": "b2://some-bucket/x"}
    worker = fake.installation.start_celery()
    fake.submit().wait(120)
    worker.freeze()
    sent = [foreign.send_task("b2jobs.upload", kwargs=kwargs, queue="b2jobs") for _ in range(3)]
    server.set("maxmemory", 1_000_000)
    worker.thaw()
    eventually(lambda: "did not confirm" in worker.output())

    server.set("maxmemory", 0)

    # What was taken meanwhile lies among the unacknowledged messages until kombu gives it out.
    redis = server.client()
    assert redis.hlen("b2jobs:unacked") + redis.llen("b2jobs") + len(
        [task for task in sent if redis.exists(f"b2jobs:job:{task.id}")]
    ) >= len(sent)
    assert worker.status is None


def test_a_worker_waits_for_a_redis_that_is_not_there_yet(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    server = make_redis()
    server.stop()
    fake = Fake(make_installation(server.url))
    worker = fake.installation.start_celery()
    eventually(lambda: "Cannot connect to redis" in worker.output(), timeout=120)

    server.start()

    assert fake.submit().wait(120).size == 3
    assert worker.status is None


def test_what_could_lose_jobs_is_said_at_the_start(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    server = make_redis(maxmemory_policy="allkeys-lru")
    fake = Fake(make_installation(server.url))
    worker = fake.installation.start_celery()
    assert fake.submit().wait(120).size == 3
    assert "no append-only file" in worker.output()
    assert "maxmemory-policy allkeys-lru" in worker.output()


def test_a_batch_comes_to_its_end_in_a_full_redis(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    # None of a batch's scripts was allowed there: it stood still, its one slot held by its planner.
    server = make_redis(maxmemory_policy="noeviction")
    installation = make_installation(server.url)
    installation.start_celery(app="support.batch_app", slots=1)
    installation.client.batch_items([]).wait(120)
    items = [
        {"source": "data://r/fine", "destination": f"b2://some-bucket/{n}"} for n in range(9000)
    ]
    batch = installation.client.batch_items(items, on_done=("app.migrated", "app-queue"))
    server.set("maxmemory", 1)
    before = batch.status()

    with pytest.raises(b2jobs.QueueUnavailable, match="maxmemory"):
        installation.client.upload("data:,x", "b2://some-bucket/x")
    eventually(lambda: batch.record().has_ended, timeout=120, what=lambda: str(batch.status()))

    assert before.finished_items < 8000, "Redis was full while nearly all of it was done"
    assert batch.status().outcomes == {"transferred": 9000}
    assert sum(1 for _ in batch.lines()) == 9000
    eventually(lambda: installation.redis.llen(f"{installation.key_prefix}app-queue") == 1)


def test_a_sync_is_planned_and_comes_to_its_end_in_a_full_redis(
    make_redis: MakeRedis, make_installation: Make, local_b2: LocalB2
) -> None:
    # Its plan and what its listings cost were written with plain commands, which are refused.
    server = make_redis(maxmemory_policy="noeviction")
    installation = make_installation(server.url, account=local_b2.account)
    pair = Pair(installation, local_b2)
    for name in ("a", "b", "c"):
        pair.write(name)
    pair.put("old")
    job = installation.client.sync(pair.local, pair.remote, delete="remove", max_delete=1)
    server.set("maxmemory", 1)
    with pytest.raises(b2jobs.QueueUnavailable, match="maxmemory"):
        installation.client.upload("data:,x", "b2://some-bucket/x")

    worker = installation.start_celery(app="b2jobs_worker.celery.app")

    assert job.wait(120).outcomes == {"transferred": 3, "deleted": 1}
    assert sorted(pair.there()) == ["a", "b", "c"]
    assert job.status().calls["c"] > 0
    assert worker.stop() == 0


def test_a_worker_that_starts_in_a_full_redis_ends_the_jobs_it_finds(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    # It asked Redis in vain to note its queues, again and again, and ended nothing.
    server = make_redis(maxmemory_policy="noeviction")
    fake = Fake(make_installation(server.url))
    jobs = [fake.submit() for _ in range(20)]
    server.set("maxmemory", 1)

    worker = fake.installation.start_celery()

    all_succeeded(fake, jobs)
    server.cut_connections()
    with pytest.raises(b2jobs.QueueUnavailable, match="maxmemory"):
        fake.submit()
    server.set("maxmemory", 0)
    assert fake.submit().wait(120).size == 3
    assert worker.stop() == 0
    assert fake.installation.leftovers() == set()
