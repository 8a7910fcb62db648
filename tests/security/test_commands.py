"""Who writes in Redis and has no key cancels and pauses nothing that has begun.

Deliveries are real, the work is scripted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import b2jobs
from b2jobs import keyfile
from support.fake import Fake
from support.installation import Installation
from support.waiting import eventually


class Site:
    """A worker for `shop`, somebody without a key, and a producer with a key of its own."""

    def __init__(self, folder: Path, redis_url: str, app: str) -> None:
        self.installation = made = Installation(folder, redis_url)
        self.attacker = made.client
        made.require_signatures()
        keys = keyfile.read(folder / "keys.json")
        other = keyfile.new_key("other")
        keyfile.write(folder / "keys.json", [*keys, other])
        keyfile.write(folder / "other.keys.json", [other])
        prefix = made.key_prefix
        self.other = b2jobs.Client(
            redis_url, key_prefix=prefix, keys_file=folder / "other.keys.json"
        )
        self.operator = b2jobs.Client(redis_url, key_prefix=prefix, keys_file=folder / "keys.json")
        self.shop = made.client
        self.worker = made.start_celery(app=app)

    def key(self, name: str) -> str:
        return f"{self.installation.key_prefix}b2jobs:{name}"

    def refused(self) -> int:
        """How often a command was refused, as the numbers say."""
        redis = self.installation.redis
        found = redis.scan_iter(match=self.key("numbers:*"))
        return sum(
            int(count)
            for key in found
            if redis.type(key) == "hash"
            for name, count in redis.hgetall(key).items()
            if name in ("refused|cancel", "refused|pause")
        )

    def goes_on(self, job: b2jobs.Handle) -> None:
        """It, or the pack of a batch, still runs when several looks of its worker are over."""
        redis = self.installation.redis
        pack = f"{job.id}.p000000"
        running = pack if redis.exists(self.key(f"job:{pack}")) else job.id
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert redis.hget(self.key(f"job:{running}"), "state") == "running"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), redis_url, "support.fake_app")
    yield made
    made.installation.close()


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("batches"), redis_url, "support.batch_app")
    yield made
    made.installation.close()


def test_a_job_that_runs_is_cancelled_by_its_producer_and_the_operator_alone(site: Site) -> None:
    fake, redis = Fake(site.installation), site.installation.redis
    job, second = fake.submit(hold=1), fake.submit(hold=1)
    for each in (job, second):
        fake.running(each)
    before = site.refused()

    for client in (site.attacker, site.other):
        with pytest.raises(b2jobs.InvalidJob) as caught:
            client.job(job.id).cancel()
        assert caught.value.code == "keys_missing"
    # By hand: without a seal, with that of another producer, with that of another job.
    theirs = site.other.records.ring.seal("cancel", "cancel", job.id, "token")
    run = str(redis.hget(site.key(f"job:{job.id}"), "signature")).partition(" ")[0]
    anothers = site.other.records.ring.seal("cancel", "cancel", job.id, run)
    elsewhere = site.shop.records.ring.seal("cancel", "cancel", second.id, run)
    for said in ("", theirs, anothers, elsewhere):
        site.attacker.records.cancel(job.id, by=said)
        site.goes_on(job)
    eventually(lambda: site.refused() > before, timeout=70)

    assert site.operator.job(second.id).cancel() == "running"
    eventually(lambda: second.state() == "cancelled", timeout=60)
    job.cancel()
    eventually(lambda: job.state() == "cancelled", timeout=60)
    assert not fake.unfinished()


def test_a_command_is_of_one_run(site: Site) -> None:
    fake, redis = Fake(site.installation), site.installation.redis
    job = fake.submit(hold=1)
    fake.running(job)
    job.cancel()
    eventually(lambda: job.state() == "cancelled", timeout=60)
    said = redis.hget(site.key(f"job:{job.id}"), "cancel_by")
    assert said

    job.retry()
    fake.running(job, 2)
    redis.hset(site.key(f"job:{job.id}"), mapping={"cancel": "1", "cancel_by": said})
    site.goes_on(job)

    fake.let_go(job)
    assert job.wait(60).size == 3


def test_a_batch_is_paused_and_cancelled_by_who_may_alone(batches: Site) -> None:
    installation, redis = batches.installation, batches.installation.redis
    folder = installation.folder / "fake"
    batch = batches.shop.batch_items(
        {"source": f"data://r/{n}/hold", "destination": f"b2://some-bucket/{n}"} for n in range(3)
    )
    eventually(lambda: batch.status().under_way.get("running"), timeout=60)
    theirs = batches.attacker.batch_job(batch.id)
    for act in (theirs.pause, theirs.resume, theirs.cancel):
        with pytest.raises(b2jobs.InvalidJob, match="no key here"):
            act()

    batches.attacker.records.door.call("batches/pause", id=batch.id)
    batches.attacker.records.cancel(batch.id)
    redis.hset(batches.key(f"batch:{batch.id}"), mapping={"over": "max_cost_reached"})
    batches.goes_on(batch)
    assert batch.status().under_way == {"running": 1}

    redis.hdel(batches.key(f"batch:{batch.id}"), "paused", "over")
    redis.hdel(batches.key(f"job:{batch.id}"), "cancel")
    batch.pause()
    eventually(lambda: batch.status().under_way == {"waiting": 1}, timeout=60)
    batch.resume()
    (folder / "let-go").touch()
    assert batch.wait(60).outcomes == {"transferred": 3}
