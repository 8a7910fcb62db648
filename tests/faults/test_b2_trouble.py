"""Real transfers against a B2 that fails, throttles, cuts and lies, by workers that die."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import b2jobs
from support.emulator import BucketView, LocalB2
from support.installation import Installation
from support.processes import Process, kill_tree
from support.waiting import eventually

BUCKET = "some-bucket"
PART_BYTES = 100_000
UPLOADS = ["b2_upload_file", "b2_upload_part"]
DOWNLOADS = ["b2_download_file_by_name", "b2_download_file_by_id"]


class Site:
    """An installation with the real engine, one local B2 and one bucket in it."""

    def __init__(self, installation: Installation, b2: LocalB2) -> None:
        self.installation = installation
        self.b2 = b2
        self.bucket = BucketView(b2, BUCKET)
        self.client = installation.client

    def worker(self, name: str = "w", **options: Any) -> Process:
        return self.installation.start_celery(
            name,
            app="b2jobs_worker.celery.app",
            B2JOBS_PART_SIZE_BYTES=str(PART_BYTES),
            B2JOBS_PARALLEL_PARTS="2",
            **options,
        )

    def file(self, name: str, size: int) -> bytes:
        content = random.Random(name).randbytes(size)
        (self.installation.data / name).write_bytes(content)
        return content

    def upload(self, name: str, **options: object) -> b2jobs.Handle:
        return self.client.upload(f"data://.my/{name}", f"b2://{BUCKET}/{name}", **options)

    def download(self, name: str, to: str, **options: object) -> b2jobs.Handle:
        return self.client.download(f"b2://{BUCKET}/{name}", f"data://.my/{to}", **options)

    def is_clean(self, *files: str) -> None:
        """No unfinished large file, no file in the root but *files*, no key that is not meant."""
        assert self.bucket.unfinished() == []
        there = {path.name for path in self.installation.data.rglob("*") if path.is_file()}
        assert there == set(files)
        assert self.installation.leftovers() == set()

    def holds(self, name: str, content: bytes) -> None:
        """One version, with these bytes."""
        assert self.bucket.versions()[name] == 1
        assert self.bucket.content(name) == content


@pytest.fixture
def site(make_installation: Callable[..., Installation], own_b2: LocalB2) -> Site:
    return Site(make_installation(account=own_b2.account), own_b2)


@pytest.mark.parametrize(
    ("fault", "calls", "options"),
    [
        ("service_unavailable", "b2_*", {"probability": 0.3}),
        ("too_many_requests", UPLOADS, {"every": 3, "retry_after": 1}),
        # Not b2_authorize_account, whose answer says that the key is wrong.
        ("expired_auth_token", ["b2_[!a]*"], {"every": 5}),
        ("reset_request", UPLOADS, {"every": 3, "bytes": 20_000}),
        ("lost_response", UPLOADS, {"every": 4}),
        ("checksum_mismatch", UPLOADS, {"every": 3}),
    ],
    ids=["503-storm", "429", "tokens-expire", "resets", "answers-lost", "wrong-checksum"],
)
def test_uploads_through_trouble_make_one_version_each(
    site: Site, fault: str, calls: str | list[str], options: dict[str, object]
) -> None:
    contents = {f"small{i}": site.file(f"small{i}", 40_000) for i in range(6)}
    contents["large"] = site.file("large", 8 * PART_BYTES + 7)
    site.b2.faults.fault(fault, calls=calls, **options)
    worker = site.worker()

    jobs = {name: site.upload(name) for name in contents}
    results = {name: job.wait(150) for name, job in jobs.items()}

    site.b2.faults.clear_faults()
    assert site.b2.faults.counters().errors
    for name, content in contents.items():
        site.holds(name, content)
        assert results[name].sha1 == hashlib.sha1(content).hexdigest()
    worker.stop()
    site.is_clean(*contents)


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("service_unavailable", {"probability": 0.3}),
        ("reset_response", {"every": 3, "bytes": 30_000}),
        ("truncate", {"every": 3, "bytes": 30_000}),
        ("corrupt", {"every": 3, "bytes": 30_000}),
        ("expired_auth_token", {"every": 3}),
    ],
    ids=["503-storm", "resets", "truncated", "wrong-bytes", "tokens-expire"],
)
def test_downloads_through_trouble_have_the_right_bytes(
    site: Site, fault: str, options: dict[str, object]
) -> None:
    contents = {
        f"file{i}": random.Random(i).randbytes(120_000 * (1 + 4 * (i == 0))) for i in range(4)
    }
    for name, content in contents.items():
        site.bucket.put(name, content)
    site.b2.faults.fault(fault, calls=DOWNLOADS, **options)
    worker = site.worker()

    jobs = [site.download(name, name) for name in contents]
    for job in jobs:
        assert job.wait(150).verified

    for name, content in contents.items():
        assert (site.installation.data / name).read_bytes() == content
    worker.stop()
    site.is_clean(*contents)


def test_bytes_that_are_always_wrong_never_reach_the_target(site: Site) -> None:
    site.bucket.put("file", random.Random(1).randbytes(50_000))
    target = site.installation.data / "file"
    target.write_bytes(b"what was there before")
    site.b2.faults.fault("corrupt", calls=DOWNLOADS, bytes=100)
    worker = site.worker()

    with pytest.raises(b2jobs.JobFailed):
        site.download("file", "file", retry=1).wait(150)

    assert target.read_bytes() == b"what was there before"
    worker.stop()
    site.is_clean("file")


def test_a_source_that_changes_while_it_is_read_arrives_whole(site: Site) -> None:
    site.file("changing", 6 * PART_BYTES)
    site.b2.faults.fault("bandwidth", calls=UPLOADS, bytes=20_000)
    worker = site.worker()
    job = site.upload("changing")
    eventually(lambda: job.progress().get("done", 0) > 0, timeout=120)

    changed = random.Random("other").randbytes(7 * PART_BYTES)
    (site.installation.data / "changing").write_bytes(changed)
    site.b2.faults.clear_faults()

    assert job.wait(150).sha1 == hashlib.sha1(changed).hexdigest()
    site.holds("changing", changed)
    worker.stop()
    site.is_clean("changing")


def in_the_middle(job: b2jobs.Handle) -> None:
    """Wait until some parts are done and some are not."""
    eventually(
        lambda: 0 < job.progress().get("done", 0) < job.progress().get("total", 0),
        timeout=120,
        what=lambda: str(job.record()),
    )


def test_a_large_upload_goes_on_from_its_last_part_after_kill_9(site: Site) -> None:
    content = site.file("large", 20 * PART_BYTES)
    site.b2.faults.fault("bandwidth", calls=UPLOADS, bytes=20_000)
    first = site.worker("first")
    job = site.upload("large")
    records = site.client.records
    journal = f"{records.prefix}journal:{job.id}"
    eventually(
        lambda: sum(name.startswith("part.") for name in records.redis.hkeys(journal)) >= 2,
        timeout=120,
        what=lambda: str(job.record()),
    )
    kill_tree(first)
    site.b2.faults.clear_faults()

    second = site.worker("second")

    result = job.wait(150)
    assert result.resumed_bytes >= 2 * PART_BYTES
    assert result.attempts == 2
    site.holds("large", content)
    # Only what was on its way was sent twice: two parts at once, and one being answered.
    assert site.b2.faults.repeated_bytes() <= 3 * PART_BYTES
    second.stop()
    site.is_clean("large")


def test_small_uploads_are_not_repeated_when_their_worker_dies(site: Site) -> None:
    contents = {f"f{i}": site.file(f"f{i}", 20_000) for i in range(30)}
    site.b2.faults.fault("latency", calls="b2_upload_file", seconds=0.3)
    jobs = [site.upload(name) for name in contents]
    workers = [site.worker("first")]
    counts = site.client.records.counts
    for round_ in range(2):
        eventually(lambda done=8 * round_: counts()["succeeded"] > done, timeout=120)
        kill_tree(workers[-1])
        workers.append(site.worker(f"w{round_}"))

    for job in jobs:
        job.wait(150)

    for name, content in contents.items():
        site.holds(name, content)
    workers[-1].stop()
    site.is_clean(*contents)


def test_a_frozen_upload_leaves_one_version(site: Site) -> None:
    content = site.file("large", 12 * PART_BYTES)
    site.b2.faults.fault("bandwidth", calls=UPLOADS, bytes=20_000)
    frozen = site.worker("frozen")
    job = site.upload("large")
    in_the_middle(job)
    frozen.freeze()
    site.b2.faults.clear_faults()
    other = site.worker("other")
    job.wait(150)

    frozen.thaw()

    assert frozen.stop() == 0
    site.holds("large", content)
    other.stop()
    site.is_clean("large")


def test_cancelling_an_upload_removes_its_large_file(site: Site) -> None:
    site.file("large", 12 * PART_BYTES)
    site.b2.faults.fault("bandwidth", calls=UPLOADS, bytes=20_000)
    worker = site.worker()
    job = site.upload("large")
    in_the_middle(job)
    assert site.bucket.unfinished() == ["large"]

    job.cancel()

    eventually(lambda: job.state() == "cancelled")
    assert site.bucket.versions() == {}
    worker.stop()
    site.is_clean("large")


def test_cancelling_a_download_removes_its_part_file(site: Site) -> None:
    site.bucket.put("file", random.Random(2).randbytes(500_000))
    site.b2.faults.fault("bandwidth", calls=DOWNLOADS, bytes=20_000)
    worker = site.worker()
    job = site.download("file", "deep/down/file")
    in_the_middle(job)

    job.cancel()

    eventually(lambda: job.state() == "cancelled")
    worker.stop()
    site.is_clean()


def test_a_download_goes_on_after_kill_9(site: Site) -> None:
    content = random.Random(3).randbytes(1_000_000)
    site.bucket.put("file", content)
    site.b2.faults.fault("bandwidth", calls=DOWNLOADS, bytes=20_000)
    first = site.worker("first")
    job = site.download("file", "file")
    in_the_middle(job)
    kill_tree(first)
    assert not (site.installation.data / "file").exists()
    site.b2.faults.clear_faults()

    second = site.worker("second")

    assert job.wait(150).verified
    assert (site.installation.data / "file").read_bytes() == content
    second.stop()
    site.is_clean("file")


def may_mount() -> bool:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="needs a mount namespace for a small disk")
def test_a_full_disk_fails_the_download_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    # The worker alone sees a disk of 200 KB over its data folder, in a mount namespace.
    site.bucket.put("file", random.Random(4).randbytes(400_000))
    disk = site.installation.data
    mount = f'mount -t tmpfs -o size=200k none "{disk}" && exec "$@"; '
    worker = site.worker(
        before=(*("unshare", "--user", "--map-root-user", "--mount"), "sh", "-c", mount, "sh")
    )

    with pytest.raises(b2jobs.JobFailed) as caught:
        site.download("file", "file", retry=0).wait(150)

    assert (caught.value.code, caught.value.failure.act) == ("disk_full", "operator")
    there = Path(f"/proc/{worker.pid}/root{disk}")
    assert list(there.rglob("*")) == []
    worker.stop()
    site.is_clean()
