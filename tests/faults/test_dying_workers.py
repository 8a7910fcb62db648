"""Workers that die, freeze or stop while jobs flow. Jobs move nothing: delivery alone is meant."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter

import pytest

from b2jobs.handle import Handle
from b2jobs_worker.delivery.keeper import LEAD_SECONDS
from support.fake import Fake
from support.processes import Process, children, command_of, kill_tree
from support.waiting import eventually


def running_now(fake: Fake) -> int:
    return fake.installation.client.records.counts()["running"]


def settled(fake: Fake, jobs: list[Handle], workers: list[Process]) -> None:
    """Every job has succeeded with one version; nothing unfinished; no key but what may stay."""
    states = fake.ended(jobs)
    assert Counter(states.values()) == {"succeeded": len(jobs)}
    assert fake.versions() == dict.fromkeys(states, 1)
    assert fake.unfinished() == set()
    for worker in workers:
        worker.stop()
    assert fake.installation.leftovers() == set()


def test_kill_9_at_a_random_moment_with_200_jobs_five_times_over(fake: Fake) -> None:
    workers = [fake.installation.start_celery(f"w{i}", slots=16) for i in range(2)]
    chance = random.Random("200 jobs, five times over")
    jobs = [fake.submit(sleep=chance.uniform(0.2, 3), steps=5) for _ in range(200)]

    for round_ in range(5):
        eventually(lambda: running_now(fake) >= 10 or not queued(fake), timeout=120)
        victim = round_ % 2
        kill_tree(workers[victim])
        workers[victim] = fake.installation.start_celery(f"w{victim}-{round_}", slots=16)

    settled(fake, jobs, workers)


def queued(fake: Fake) -> int:
    return fake.installation.client.records.counts()["queued"]


def test_small_jobs_flow_while_workers_are_killed(fake: Fake) -> None:
    # `python -m bench.delivery.soak` does this with 10,000 jobs and 20 kills, or for an hour.
    workers = [fake.installation.start_celery(f"w{i}", slots=4) for i in range(2)]
    jobs: list[Handle] = []
    for kill in range(4):
        done = fake.installation.client.records.counts()["succeeded"]
        jobs += [fake.submit() for _ in range(250)]
        eventually(
            lambda done=done: fake.installation.client.records.counts()["succeeded"] > done + 50,
            timeout=120,
        )
        kill_tree(workers[kill % 2])
        workers[kill % 2] = fake.installation.start_celery(f"w{kill % 2}-{kill}", slots=4)

    settled(fake, jobs, workers)


def test_a_doorbell_that_was_taken_and_never_answered_is_rung_again(fake: Fake) -> None:
    # A worker that dies between BRPOP and the claim takes the message with it.
    job = fake.submit()
    redis, root = fake.installation.redis, fake.installation.key_prefix
    assert redis.rpop(f"{root}b2jobs") is not None

    worker = fake.installation.start_celery()

    settled(fake, [job], [worker])


def test_a_job_many_times_as_long_as_its_lease_starts_once(fake: Fake) -> None:
    workers = [fake.installation.start_celery(f"w{i}", slots=1) for i in range(2)]
    long = fake.submit(sleep=15)
    fake.running(long)

    behind = [fake.submit(sleep=0.1) for _ in range(40)]

    settled(fake, [long, *behind], workers)
    assert Counter(event.job for event in fake.events("start")) == dict.fromkeys(
        [long.id, *(job.id for job in behind)], 1
    )


def test_a_frozen_owner_stops_commits_nothing_and_leaves_nothing(fake: Fake) -> None:
    frozen = fake.installation.start_celery("frozen", slots=1)
    job = fake.submit(hold=1)
    fake.running(job)
    frozen.freeze()
    other = fake.installation.start_celery("other", slots=1)
    fake.running(job, number=2)

    frozen.thaw()

    eventually(lambda: fake.events("lease_lost", job.id), timeout=120)
    fake.let_go(job)
    settled(fake, [job], [frozen, other])
    assert [event.number for event in fake.events("commit", job.id)] == [2]


def test_a_version_of_an_owner_that_froze_while_committing_is_removed(fake: Fake) -> None:
    # Nothing in B2 is conditional: the request was on its way when the worker froze.
    frozen = fake.installation.start_celery("frozen", slots=1)
    job = fake.submit(freeze=4, sleep=0.2)
    fake.running(job)
    eventually(job.progress, timeout=120)
    frozen.freeze()
    other = fake.installation.start_celery("other", slots=1)
    fake.running(job, number=2)

    frozen.thaw()

    settled(fake, [job], [frozen, other])


def test_what_an_outdated_owner_made_is_kept_where_it_is_the_result(fake: Fake) -> None:
    # The second owner found the first one's version and returned it; the first one, late,
    # had put the same version on the list of strays. It was removed with the result pointing
    # at it.
    job = fake.submit(sleep=0.5, fail="again", times=1, wait=1)
    records = fake.installation.client.records
    made = fake.folder / "made" / f"{job.id}-1"
    made.parent.mkdir(exist_ok=True)
    made.touch()
    records.redis.sadd(f"{records.prefix}strays:{job.id}", made.name)

    worker = fake.installation.start_celery()

    assert job.wait(120).file_id == made.name
    settled(fake, [job], [worker])


def test_strays_of_a_job_that_fails_are_removed(fake: Fake) -> None:
    job = fake.submit(fail="again", retry=0.2, wait=0.1, sleep=0)
    records = fake.installation.client.records
    worker = fake.installation.start_celery()
    fake.running(job)
    stray = fake.folder / "made" / f"{job.id}x-9"
    stray.touch()
    records.redis.sadd(f"{records.prefix}strays:{job.id}", stray.name)

    assert fake.ended([job]) == {job.id: "failed"}

    assert not stray.exists()
    worker.stop()
    assert fake.installation.leftovers() == set()


@pytest.mark.parametrize("death", ["signal", "exit"])
def test_a_job_that_kills_its_worker_fails_and_its_neighbours_go_on(fake: Fake, death: str) -> None:
    began = time.monotonic()
    with Supervised(fake) as workers:
        for worker in workers:
            eventually(lambda worker=worker: " ready." in worker.output(), timeout=120)
        # A death costs the lease, then the lead of the keeper that died, then the start of a
        # process, which takes as long as this machine is busy: 2 s alone, 25 s beside eight suites.
        made_good_in = 3.0 + LEAD_SECONDS + 3 * (time.monotonic() - began)
        poison = fake.submit(die=death)
        neighbours = [fake.submit(sleep=1) for _ in range(8)]

        states = fake.ended([poison, *neighbours], timeout=60 + 3 * made_good_in)

        assert states.pop(poison.id) == "failed"
        assert set(states.values()) == {"succeeded"}
        failure = poison.record().failure
        assert failure is not None
        assert (failure.code, failure.act) == ("worker_lost", "operator")
        assert len({event.pid for event in fake.events("start", poison.id)}) == 3
        assert fake.versions() == {job.id: 1 for job in neighbours}
        assert fake.unfinished() == set()
        for worker in workers:
            worker.stop()
        assert fake.installation.leftovers() == set()


def test_a_suspect_whose_process_is_stopped_while_it_starts_has_not_died(fake: Fake) -> None:
    # systemd sends SIGTERM to every process of a unit. One that was just starting for a suspect
    # was its third loss, and the job failed as `worker_lost` although it had not begun.
    job = fake.submit(sleep=0.1)
    fake.installation.redis.hset(
        f"{fake.installation.client.records.prefix}job:{job.id}", "lost", "2"
    )
    worker = fake.installation.start_celery(slots=1)

    # Not before it is a program of its own: until then its signals are its parent's.
    own = eventually(
        lambda: [pid for pid in children(worker.pid) if "attempt" in command_of(pid)], timeout=120
    )
    os.kill(own[0], signal.SIGTERM)

    settled(fake, [job], [worker])
    assert worker.output().count("it gets a process of its own") == 2
    (start,) = fake.events("start", job.id)
    assert (start.number, start.pid == worker.pid) == (2, False)


class Supervised:
    """Workers that somebody starts again when they die, as the parent or systemd would."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.workers: list[Process] = []

    def __enter__(self) -> list[Process]:
        self.stop = threading.Event()
        self.workers += [self.start(), self.start()]
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self.workers

    def start(self) -> Process:
        return self.fake.installation.start_celery(
            f"s{len(self.fake.installation.workers)}", slots=4
        )

    def watch(self) -> None:
        while not self.stop.wait(0.1):
            for place, worker in enumerate(self.workers):
                if worker.status is not None and worker.status != 0:
                    self.workers[place] = self.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def test_a_retry_outlives_the_worker_that_parked_it(fake: Fake) -> None:
    first = fake.installation.start_celery("first")
    job = fake.submit(fail="outage", times=1, wait=6)
    eventually(lambda: job.state() == "waiting")
    assert job.reason() == "backoff"
    kill_tree(first)

    second = fake.installation.start_celery("second")

    settled(fake, [job], [second])
    first_start, second_start = fake.events("start", job.id)
    assert second_start.at - first_start.at >= 6


def test_sigterm_hands_the_job_to_another_worker(fake: Fake) -> None:
    leaving = fake.installation.start_celery("leaving", slots=1)
    job = fake.submit(hold=1)
    fake.running(job)
    staying = fake.installation.start_celery("staying", slots=1)
    eventually(lambda: len(fake.installation.client.records.workers(within_seconds=5)) == 2)

    leaving.signal(signal.SIGTERM)

    # Handed back, not waited for: the lease would have had to run out otherwise.
    fake.running(job, number=2)
    assert fake.events("handed_back", job.id)
    assert job.record().lost == 0
    fake.let_go(job)
    assert leaving.wait(20) == 0
    settled(fake, [job], [staying])


def test_a_job_that_is_nearly_done_ends_within_the_grace_period(fake: Fake) -> None:
    worker = fake.installation.start_celery(slots=1, B2JOBS_GRACE_SECONDS="20")
    job = fake.submit(sleep=3)
    fake.running(job)

    assert worker.stop() == 0

    assert job.state() == "succeeded"
    assert len(fake.events("start")) == 1


def test_a_rolling_restart_under_load_loses_and_repeats_nothing(fake: Fake) -> None:
    chance = random.Random("a rolling restart")
    workers = [fake.installation.start_celery(f"w{i}", slots=4) for i in range(2)]
    jobs: list[Handle] = []
    for round_ in range(4):
        jobs += [fake.submit(sleep=chance.uniform(0, 0.5)) for _ in range(60)]
        eventually(lambda: running_now(fake) >= 4)
        # One that is still starting knows no SIGTERM yet, and has nothing to hand back.
        eventually(lambda worker=workers[round_ % 2]: " ready." in worker.output())
        assert workers[round_ % 2].stop() == 0
        workers[round_ % 2] = fake.installation.start_celery(f"w{round_ % 2}-{round_}", slots=4)

    settled(fake, jobs, workers)
    assert Counter(event.job for event in fake.events("commit")) == {job.id: 1 for job in jobs}
    assert not fake.events("lease_lost")
