"""An attacker at what a dead worker left in Redis, and at what waits there: real bytes, a real B2.

Everything that workers write for workers is changed while none of them runs. What the attacker
wants: a file of theirs in the bucket, a victim's file gone, a job of theirs done.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import b2jobs
from b2jobs import numbers
from b2jobs.items import Item
from b2jobs.ledger import packed_line, packed_rows
from b2jobs.signed import SealRefused
from support.emulator import BucketView, LocalB2
from support.installation import Installation
from support.processes import Process, kill_tree
from support.waiting import eventually

BUCKET = "forged"
SLOW = {"fault": "latency", "calls": ["b2_upload_file", "b2_upload_part"], "seconds": 20.0}


class Site:
    """One installation that requires signatures, and what its attacker does to Redis."""

    def __init__(self, installation: Installation, b2: LocalB2) -> None:
        self.installation = installation
        self.attacker = installation.client
        installation.require_signatures()
        self.shop = installation.client
        self.redis = installation.redis
        self.b2 = b2
        self.bucket = BucketView(b2, BUCKET)
        self.worker = self.start()

    def start(self) -> Process:
        name = f"worker{len(self.installation.workers)}"
        return self.installation.start_celery(
            name, app="b2jobs_worker.celery.app", B2JOBS_PART_SIZE_BYTES="100000"
        )

    def key(self, name: str) -> str:
        return f"{self.installation.key_prefix}b2jobs:{name}"

    def keys(self, pattern: str) -> list[str]:
        return [str(key) for key in self.redis.scan_iter(match=self.key(pattern), count=1000)]

    def refused(self) -> dict[str, int]:
        return numbers.totals(self.attacker.records).refused()


@pytest.fixture
def site(make_installation: Callable[..., Installation], own_b2: LocalB2) -> Site:
    installation = make_installation(account=own_b2.account)
    (installation.data / "a").write_bytes(b"a")
    (installation.data / "large").write_bytes(b"x" * 450_000)
    return Site(installation, own_b2)


def forged_item(number: int) -> Item:
    return Item("upload", "data://.my/a", f"b2://{BUCKET}/forged/{number}")


def test_what_a_dead_worker_left_is_not_believed(site: Site) -> None:
    victim = site.bucket.put("victim", b"v")
    site.b2.faults.fault(**SLOW)
    rows = [{"source": "data://.my/a", "destination": f"b2://{BUCKET}/batch/{n}"} for n in range(3)]
    batch = site.shop.batch_items(rows)
    large = site.shop.upload("data://.my/large", f"b2://{BUCKET}/large")
    [pack] = eventually(lambda: site.keys("pack:*"), timeout=40, what="pack")
    name = pack.rpartition(":")[2]
    journal = site.key(f"journal:{large.id}")
    eventually(lambda: "large" in site.redis.hgetall(journal), timeout=60)
    kill_tree(site.worker)
    staged = site.shop.upload(b"theirs", f"b2://{BUCKET}/staged")

    site.redis.set(pack, packed_rows([["default", None, 60.0], [0, 0, forged_item(0).packed()]]))
    for at in range(3):
        line = packed_line(["transferred", 1, "0" * 40, victim, "https://x/"])
        site.redis.hset(site.key(f"outcomes:{name}"), str(at), line)
        site.redis.sadd(site.key(f"strays:{name}"), f"{at} {victim}")
    site.redis.sadd(site.key(f"strays:{large.id}"), victim)
    mine = json.dumps({"file_id": victim, "bucket_id": "b", "name": "victim", "identity": "1",
                       "size": 450_000, "part_bytes": 100_000})  # fmt: skip
    site.redis.hset(journal, mapping={"large": mine, "finishing": "1", "sha1": "0" * 40})
    site.redis.hset(site.key(f"staged:{staged_id(staged)}"), "0", b"forged")
    site.redis.hset(site.key(f"batch:{batch.id}"), "spill:0", json.dumps({"uri": "data://.my/a"}))
    site.b2.faults.clear_faults()
    site.worker = site.start()

    assert large.wait(120).verified
    assert site.bucket.content("large") == b"x" * 450_000
    with pytest.raises(b2jobs.JobFailed) as caught:
        staged.wait(60)
    assert caught.value.failure.code == "staged_damaged"
    with pytest.raises(b2jobs.JobFailed) as caught:
        batch.wait(120)
    assert caught.value.failure.code == "seal_refused"
    assert site.worker.status is None
    # What the dead worker had begun may have come to its end; nothing else is there.
    made = site.bucket.versions()
    assert made.items() >= {"victim": 1, "large": 1}.items()
    assert {name for name in made if not name.startswith("batch/")} == {"victim", "large"}
    assert not site.bucket.unfinished()
    eventually(lambda: site.refused().keys() >= {"pack", "stray", "journal", "batch"})


def staged_id(job: b2jobs.Handle[Any]) -> str:
    source = str(job.record().request["source"])
    return source.removeprefix("staged://").partition("/")[0]


def test_what_waits_is_done_as_its_record_says_or_not_at_all(site: Site) -> None:
    site.bucket.put("kept", b"kept")
    done = site.shop.upload("data://.my/a", f"b2://{BUCKET}/first", key="mine")
    assert done.wait(60).size == 1
    kill_tree(site.worker)
    copy = site.shop.copy(f"b2://{BUCKET}/kept", f"b2://{BUCKET}/copied")
    queue = f"{site.installation.key_prefix}b2jobs"

    # Its doorbell names another kind, whose work was done with the copy's request.
    bell = str(site.redis.lpop(queue))
    for kind in ("b2jobs.delete", "b2jobs.download", "b2jobs.upload", "celery.map"):
        site.redis.lpush(queue, bell.replace("b2jobs.copy", kind))
    # A key that leads to somebody else's job, and one result in the place of another.
    forged = site.attacker.upload("data:,x", f"b2://{BUCKET}/forged", key="next")
    with pytest.raises(b2jobs.InvalidJob, match="signature"):
        site.shop.upload("data://.my/a", f"b2://{BUCKET}/next", key="next")
    site.redis.set(site.key("key:theirs"), done.id)
    with pytest.raises(b2jobs.InvalidJob, match="signature"):
        site.shop.upload("data://.my/a", f"b2://{BUCKET}/theirs", key="theirs")
    site.worker = site.start()

    assert copy.wait(60).name == "copied"
    theirs = site.shop.upload("data://.my/a", f"b2://{BUCKET}/second")
    assert theirs.wait(60).size == 1
    result = str(site.redis.hget(site.key(f"job:{done.id}"), "result"))
    site.redis.hset(site.key(f"job:{theirs.id}"), "result", result)
    with pytest.raises(SealRefused, match="another job"):
        theirs.wait(5)
    eventually(lambda: site.attacker.job(forged.id).record().has_ended)
    assert site.worker.status is None
    names = ("copied", "first", "kept", "second")
    assert site.bucket.versions() == dict.fromkeys(names, 1)
    eventually(lambda: "signature_missing" in site.refused())


def test_a_sync_removes_nothing_because_somebody_says_that_nothing_failed(site: Site) -> None:
    # What was not transferred kept its old version by a counter that anybody could set to 0.
    folder = site.installation.data / "s"
    folder.mkdir()
    for name in ("a", "b"):
        site.bucket.put(f"s/{name}", b"old")
        (folder / name).write_bytes(b"newer")
    site.b2.faults.fault("access_denied", calls="b2_upload_file", name="s/b")
    sync = site.shop.sync("data://.my/s/", f"b2://{BUCKET}/s/", delete="remove")
    batch = site.key(f"batch:{sync.id}")

    def ended() -> bool:
        if site.redis.hget(batch, "n:failed"):
            site.redis.hset(batch, "n:failed", "0")
        return sync.record().has_ended

    eventually(ended, timeout=90)

    assert site.bucket.versions() == {"s/a": 2, "s/b": 1}
