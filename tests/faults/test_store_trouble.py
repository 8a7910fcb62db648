"""Downloads into another object store by workers that die, and jobs that are cancelled there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import b2jobs
from contract.sources.storeserver import StoreServer, store_server
from support.emulator import BucketView, LocalB2
from support.installation import Installation
from support.processes import kill_tree
from support.waiting import eventually

BUCKET = "some-bucket"
CONTENT = random.Random(8).randbytes(12_000_000)
PART_BYTES = 5 * 1024 * 1024


class Site:
    """An installation, one local B2 that is slow, and an S3 server."""

    def __init__(self, installation: Installation, b2: LocalB2, store: StoreServer) -> None:
        self.installation = installation
        self.b2 = b2
        self.store = store
        store.fill("away", {"big": b"old"})
        entry = {"access_key_id": "id", "secret_access_key": "secret", "region": "us-east-1"}
        open_entry = {**entry, "endpoint": store.endpoint, "access": "read-write"}
        installation.write_secrets({**b2.account, "stores": {"s3://away": open_entry}})
        BucketView(b2, BUCKET).put("big", CONTENT)
        b2.faults.fault(
            "bandwidth",
            calls=["b2_download_file_by_name", "b2_download_file_by_id"],
            bytes=4_000_000,
        )

    def worker(self, name: str) -> Any:
        return self.installation.start_celery(
            name,
            app="b2jobs_worker.celery.app",
            B2JOBS_PART_SIZE_BYTES=str(PART_BYTES),
            B2JOBS_PARALLEL_PARTS="1",
        )

    def begin(self) -> b2jobs.Handle[Any]:
        """A download whose first part is in the store."""
        job = self.installation.client.download(f"b2://{BUCKET}/big", "s3://away/big")
        eventually(lambda: self.noted(job), what=lambda: str(job.record()), timeout=60)
        return job

    def noted(self, job: b2jobs.Handle[Any]) -> bool:
        records = self.installation.client.records
        return "part.1" in records.redis.hkeys(f"{records.prefix}journal:{job.id}")

    @property
    def content(self) -> bytes:
        return self.store.client.get_object(Bucket="away", Key="big")["Body"].read()

    @property
    def unfinished(self) -> list[Any]:
        return list(self.store.client.list_multipart_uploads(Bucket="away").get("Uploads", ()))


@pytest.fixture
def site(
    tmp_path: Path, own_b2: LocalB2, make_installation: Callable[..., Installation]
) -> Iterator[Site]:
    with store_server(tmp_path) as store:
        yield Site(make_installation(), own_b2, store)


def test_a_download_into_a_store_goes_on_after_kill_9(site: Site) -> None:
    first = site.worker("first")
    job = site.begin()
    kill_tree(first)
    assert site.content == b"old"
    assert len(site.unfinished) == 1
    site.b2.faults.clear_faults()

    second = site.worker("second")

    result = job.wait(150)
    assert (result.verified, result.status) == (True, "transferred")
    assert result.resumed_bytes >= PART_BYTES
    assert site.content == CONTENT
    assert site.unfinished == []
    second.stop()
    assert site.installation.leftovers() == set()


def test_cancelling_a_download_into_a_store_aborts_its_upload(site: Site) -> None:
    worker = site.worker("first")
    job = site.begin()
    job.cancel()
    with pytest.raises(b2jobs.JobCancelled):
        job.wait(60)
    assert site.content == b"old"
    assert site.unfinished == []
    worker.stop()
    assert site.installation.leftovers() == set()
