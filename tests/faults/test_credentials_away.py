"""Credentials that are wrong, deleted, missing or half written for a while cost nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from b2sdk.v3 import B2Api, InMemoryAccountInfo

import b2jobs
from b2jobs.batches import BatchHandle
from support.emulator import BucketView, LocalB2
from support.installation import Installation
from support.waiting import eventually

BUCKET = "some-bucket"
ITEMS = 600


class Site:
    """An installation with real workers, a local B2 and a bucket."""

    def __init__(self, installation: Installation, b2: LocalB2) -> None:
        self.installation, self.b2 = installation, b2
        self.bucket = BucketView(b2, BUCKET)
        self.client = installation.client

    def start(self) -> None:
        worker = self.installation.start_worker(
            B2JOBS_PROCESSES="2", B2JOBS_RESERVED_SLOTS="0", B2JOBS_SLOTS="4"
        )
        eventually(
            lambda: len(self.client.records.workers(within_seconds=10)) == 2, what=worker.output
        )

    def fill(self, count: int) -> dict[str, int]:
        for at in range(count):
            (self.installation.data / f"{at:04}").write_bytes(b"%d" % at)
        return {f"in/{at:04}": 1 for at in range(count)}

    def batch(self) -> BatchHandle:
        return self.client.batch("data://.my/", f"b2://{BUCKET}/in/")

    def upload(self, name: str, **options: object) -> b2jobs.Handle:
        return self.client.upload("data:,x", f"b2://{BUCKET}/{name}", **options)

    def wrong_key(self) -> None:
        self.installation.write_secrets({**self.b2.account, "application_key": "K004wrong"})

    def right_key(self) -> None:
        self.installation.write_secrets(self.b2.account)

    def waits(self, job: b2jobs.Handle) -> b2jobs.Record:
        """The record, once it waits for credentials."""
        eventually(
            lambda: job.reason() == "credentials", timeout=60, what=lambda: str(job.record())
        )
        return job.record()

    def slowly(self) -> None:
        """Uploads take long enough for something to happen to the others."""
        self.b2.faults.fault("latency", calls=["b2_upload_file"], seconds=0.1)

    def all_there(self, batch: BatchHandle, names: dict[str, int], *others: str) -> None:
        batch.wait(timeout=150)
        assert batch.status().outcomes == {"transferred": len(names)}
        assert self.bucket.versions() == {**names, **dict.fromkeys(others, 1)}

    def waiting_packs(self) -> int:
        records = self.client.records
        ids = records.redis.zrange(f"{records.prefix}waiting", 0, -1)
        jobs = [records.redis.hgetall(f"{records.prefix}job:{each}") for each in ids]
        return sum(job.get("reason") == "credentials" for job in jobs)


@pytest.fixture
def site(make_installation: Callable[..., Installation], own_b2: LocalB2) -> Site:
    return Site(make_installation(account=own_b2.account), own_b2)


def test_a_wrong_key_in_the_middle_of_a_batch_costs_no_item(site: Site) -> None:
    """A wrong key for 12 s cost 1,849 items for good."""
    names = site.fill(ITEMS)
    site.slowly()
    site.start()
    batch = site.batch()
    eventually(lambda: batch.status().finished_items > 20)

    site.wrong_key()
    eventually(site.waiting_packs, timeout=60, what=lambda: str(batch.status()))
    refused = site.b2.faults.counters().calls["b2_authorize_account"]
    time.sleep(3)
    # A refused key is not shown to B2 by every item again, but once by each user of a process.
    assert site.b2.faults.counters().calls["b2_authorize_account"] <= refused + 4
    site.b2.faults.clear_faults()
    site.right_key()

    site.all_there(batch, names)


def test_a_key_that_is_deleted_in_the_middle_costs_no_item(site: Site) -> None:
    api = B2Api(InMemoryAccountInfo())
    api.authorize_account(
        site.b2.account["key_id"], site.b2.account["application_key"], site.b2.realm
    )
    made = api.create_key(["listBuckets", "listFiles", "readFiles", "writeFiles"], "soon-gone")
    site.installation.write_secrets(
        {"key_id": made.id_, "application_key": made.application_key, "realm": site.b2.realm}
    )
    names = site.fill(ITEMS)
    site.slowly()
    site.start()
    batch = site.batch()
    eventually(lambda: batch.status().finished_items > 20)

    api.delete_key(made)
    eventually(site.waiting_packs, timeout=60, what=lambda: str(batch.status()))
    single = site.upload("single")
    assert site.waits(single).failure.code == "credentials_invalid"
    site.b2.faults.clear_faults()
    began = time.monotonic()
    site.right_key()

    assert single.wait(60).verified
    assert time.monotonic() - began < 15
    site.all_there(batch, names, "single")


@contextmanager
def rewritten(path: Path, content: str) -> Iterator[None]:
    """*path* is written again and again in two halves, as by a careless `cat >`."""
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            with path.open("w") as file:
                over.wait(0.05)
                file.write(content[:40])
                file.flush()
                over.wait(0.05)
                file.write(content[40:])
            over.wait(0.2)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def test_a_secrets_file_that_is_being_written_costs_no_job(site: Site) -> None:
    """122 of 3,000 jobs failed for good: `it is not JSON`."""
    site.start()
    with rewritten(site.installation.secrets, json.dumps(site.b2.account)):
        jobs = [site.upload(f"job{at:03}") for at in range(300)]
        for job in jobs:
            assert job.wait(120).verified
    assert site.bucket.versions() == {f"job{at:03}": 1 for at in range(300)}


def test_jobs_wait_for_a_secrets_file_and_go_on_soon_after_it_comes(site: Site) -> None:
    site.installation.secrets.unlink()
    site.start()
    jobs = [site.upload(f"job{at}") for at in range(20)]
    hurried = site.upload("hurried", retry=1)
    assert site.waits(jobs[0]).failure.code == "credentials_missing"
    with pytest.raises(b2jobs.JobFailed) as caught:
        hurried.wait(60)
    assert caught.value.code == "credentials_missing"
    eventually(lambda: all(job.record().attempts >= 3 for job in jobs), timeout=60)

    began = time.monotonic()
    site.right_key()

    for job in jobs:
        assert job.wait(60).verified
    assert time.monotonic() - began < 15
    assert site.bucket.versions() == {f"job{at}": 1 for at in range(20)}


def test_a_mode_that_others_can_read_is_waited_out_too(site: Site) -> None:
    site.installation.secrets.chmod(0o644)
    site.start()
    job = site.upload("file")
    assert site.waits(job).failure.code == "credentials_exposed"
    site.installation.secrets.chmod(0o600)
    assert job.wait(30).verified


def test_checking_a_key_does_not_wait_for_a_better_one(site: Site) -> None:
    site.wrong_key()
    site.start()
    with pytest.raises(b2jobs.JobFailed) as caught:
        site.client.check().wait(30)
    assert caught.value.code == "credentials_invalid"
