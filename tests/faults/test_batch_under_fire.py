"""Batches while workers are killed or frozen, B2 refuses, and everything restarts.

`B2JOBS_BATCH_ITEMS=5000 pytest tests/faults/test_batch_under_fire.py` is the full size.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from b2sdk.v3 import B2Api, InMemoryAccountInfo

from b2jobs.batches import BatchHandle
from support.emulator import LocalB2
from support.installation import Installation
from support.processes import Process, kill_tree
from support.redis_server import RedisServer
from support.waiting import eventually

ITEMS = int(os.environ.get("B2JOBS_BATCH_ITEMS", "800"))
BUCKET = "batch-under-fire"
PREFIX = f"b2://{BUCKET}/in/"

FAULTS = [
    {"fault": "service_unavailable", "calls": ["b2_upload_file"], "probability": 0.03},
    {
        "fault": "internal_error",
        "calls": ["b2_upload_file"],
        "probability": 0.01,
        "after_call": True,
    },
    {"fault": "reset_request", "calls": ["b2_upload_file"], "bytes": 100, "probability": 0.01},
    {"fault": "lost_response", "calls": ["b2_upload_file"], "probability": 0.01},
    {"fault": "service_unavailable", "calls": ["b2_get_upload_url"], "probability": 0.05},
]

pytestmark = pytest.mark.timeout(600)


def fill(folder: Path, count: int) -> dict[str, str]:
    """Names below the folder and their SHA-1."""
    digests = {}
    for at in range(count):
        name = f"{at % 10}/{at:05}"
        content = random.Random(at).randbytes(200)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        digests[name] = hashlib.sha1(content).hexdigest()
    return digests


def start(installation: Installation, name: str) -> Process:
    return installation.start_celery(name, app="b2jobs_worker.celery.app", slots=8)


def versions(b2: LocalB2) -> dict[str, list[str]]:
    """Every version in the bucket: its name below the prefix, and the SHA-1s."""
    api = B2Api(InMemoryAccountInfo())
    account = b2.account
    api.authorize_account(account["key_id"], account["application_key"], b2.realm)
    found: dict[str, list[str]] = {}
    bucket = api.get_bucket_by_name(BUCKET)
    for version, _ in bucket.ls(latest_only=False, recursive=True):
        name = version.file_name.removeprefix("in/")
        found.setdefault(name, []).append(str(version.content_sha1))
    return found


def proven(installation: Installation, batch: BatchHandle, digests: dict[str, str]) -> None:
    """Every item once: counters, ledger and bucket agree, and the report verifies."""
    now = batch.status()
    assert now.outcomes == {"transferred": len(digests)}
    assert now.items == len(digests)
    assert now.moved_bytes == 200 * len(digests)
    report = list(batch.report())
    lines = [json.loads(text) for text in report[:-1]]
    assert Counter(line["destination"] for line in lines) == dict.fromkeys(
        (PREFIX + name for name in digests), 1
    )
    assert {line["item"] for line in lines} == set(range(len(digests)))
    found = installation.client.verify(report, prefix=PREFIX).wait(timeout=120)
    assert found.agrees, found.samples
    assert found.checked == len(digests)


def only_records_are_left(installation: Installation) -> None:
    for worker in installation.workers:
        if worker.status is None:
            worker.stop()
    assert {key for key in installation.leftovers() if not key.startswith("b2jobs:batch:")} == set()


@pytest.fixture
def fired(own_b2: LocalB2, make_installation: Callable[..., Installation]) -> Installation:
    return make_installation(account=own_b2.account)


def test_workers_and_planner_are_killed_while_b2_refuses(
    fired: Installation, own_b2: LocalB2
) -> None:
    digests = fill(fired.data, ITEMS)
    workers = [start(fired, f"w{at}") for at in range(2)]
    fired.client.bucket("create", BUCKET).wait(timeout=60)
    own_b2.admin("POST", "faults", FAULTS)

    batch = fired.client.batch("data://.my/", PREFIX)
    # The first kill meets the planner: nothing is finished yet.
    eventually(lambda: batch.status().items > 0, timeout=60)
    for kill in range(6):
        kill_tree(workers[kill % 2])
        workers[kill % 2] = start(fired, f"w{kill % 2}-{kill}")
        goal = ITEMS * (kill + 1) // 8
        eventually(
            lambda goal=goal: batch.status().finished_items >= goal or batch.record().has_ended,
            timeout=120,
            what=lambda: str(batch.status()),
        )

    batch.wait(timeout=240)
    own_b2.admin("DELETE", "faults")
    proven(fired, batch, digests)
    assert versions(own_b2) == {name: [sha1] for name, sha1 in digests.items()}
    only_records_are_left(fired)


def test_a_frozen_worker_comes_back_and_leaves_no_second_version(
    fired: Installation, own_b2: LocalB2
) -> None:
    digests = fill(fired.data, 300)
    workers = [start(fired, f"w{at}") for at in range(2)]
    fired.client.bucket("create", BUCKET).wait(timeout=60)
    own_b2.admin(
        "POST", "faults", {"fault": "latency", "calls": ["b2_upload_file"], "seconds": 0.2}
    )

    batch = fired.client.batch("data://.my/", PREFIX)
    eventually(lambda: batch.status().finished_items > 20, timeout=60)
    workers[0].freeze()
    batch.wait(timeout=120)
    workers[0].thaw()
    own_b2.admin("DELETE", "faults")
    workers[0].stop()

    eventually(
        lambda: versions(own_b2) == {name: [sha1] for name, sha1 in digests.items()}, timeout=30
    )
    proven(fired, batch, digests)
    only_records_are_left(fired)


def test_paused_across_a_restart_of_everything(
    own_b2: LocalB2,
    make_redis: Callable[..., RedisServer],
    make_installation: Callable[..., Installation],
) -> None:
    redis = make_redis(appendonly=True, appendfsync="always")
    installation = make_installation(redis_url=redis.url, account=own_b2.account)
    digests = fill(installation.data, 600)
    workers = [start(installation, f"w{at}") for at in range(2)]
    installation.client.bucket("create", BUCKET).wait(timeout=60)

    batch = installation.client.batch("data://.my/", PREFIX)
    eventually(lambda: batch.status().finished_items > 20, timeout=60)
    batch.pause()
    eventually(lambda: batch.status().reason == "paused", timeout=20)
    held = batch.status().finished_items
    for worker in workers:
        worker.stop()
    redis.kill()
    redis.start()
    workers = [start(installation, f"again{at}") for at in range(2)]
    living = f"{installation.key_prefix}b2jobs:workers"
    eventually(
        lambda: sum("again" in name for name in installation.redis.zrange(living, 0, -1)) == 2
    )
    assert batch.status().finished_items == held
    assert batch.status().reason == "paused"

    batch.resume()
    batch.wait(timeout=120)
    proven(installation, batch, digests)
    assert versions(own_b2) == {name: [sha1] for name, sha1 in digests.items()}
    only_records_are_left(installation)
