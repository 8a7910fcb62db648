"""A listing whose workers are killed, whose reader is slow, or goes away: every line once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from b2jobs.errors import JobFailed
from b2jobs.feed import taken
from support.emulator import LocalB2
from support.filled import fill
from support.installation import Installation
from support.list_app import MOST_PAGES, PAGE
from support.processes import Process
from support.synced import Pair
from support.waiting import eventually

NAMES = sorted(f"d{n % 7}/{n:04}" for n in range(20 * PAGE - 5))


@pytest.fixture
def pair(local_b2: LocalB2, make_installation: Callable[..., Installation]) -> Pair:
    return Pair(make_installation(account=local_b2.account), local_b2)


def start(pair: Pair, name: str) -> Process:
    return pair.installation.start_celery(name, app="support.list_app")


def test_killed_twice_and_read_slowly_every_line_comes_once(pair: Pair) -> None:
    fill(pair.bucket, NAMES)
    worker = start(pair, "first")
    listing = pair.installation.client.ls(pair.remote, recursive=True)
    found: list[str] = []
    for number, page in enumerate(listing.pages(60)):
        found += [line["name"] for line in page]
        if number in (3, 9):
            worker.kill()
            worker = start(pair, f"behind-{number}")
        if number == 13:
            # No room for longer than a worker waits: it gives its slot away meanwhile.
            eventually(lambda: listing.state() == "waiting", timeout=30)
            assert listing.reason() == "window"
            assert pair.installation.redis.hlen(feed(pair, listing.id)) == MOST_PAGES
    assert found == NAMES
    assert listing.wait(10).count == len(NAMES)
    assert listing.wait(10).calls["c"] >= 20
    worker.stop()
    redis, prefix = pair.installation.redis, pair.installation.key_prefix
    left = [key for key in pair.installation.leftovers() if listing.id in key]
    assert [key for key in left if redis.ttl(f"{prefix}{key}") < 0] == []


def test_what_nobody_reads_ends_and_leaves_nothing(pair: Pair) -> None:
    fill(pair.bucket, NAMES)
    start(pair, "w")
    listing = pair.installation.client.ls(pair.remote, recursive=True)
    with pytest.raises(JobFailed) as failed:
        listing.wait(60)
    assert failed.value.code == "nobody_reads"
    assert not pair.installation.redis.exists(feed(pair, listing.id))

    abandoned = pair.installation.client.ls(pair.remote, recursive=True)
    pages = abandoned.pages(60)
    next(pages)
    pages.close()
    eventually(lambda: abandoned.record().has_ended, timeout=30)
    time.sleep(0.2)  # a page that was on its way
    assert not pair.installation.redis.exists(feed(pair, abandoned.id))


def test_a_ledger_that_nobody_reads_holds_no_slot(pair: Pair) -> None:
    # It held one for up to ten minutes: its reader may be a terminal that somebody scrolls.
    installation = pair.installation
    redis, records = installation.redis, installation.client.records
    files = {f"{n}.gz": f"segment {n}".encode() for n in range(7)}
    for name, content in files.items():
        pair.write(name, content)
    kept = {f"spill:{n}": json.dumps({"uri": f"{pair.local}{n}.gz"}) for n in range(7)}
    redis.hset(f"{records.prefix}batch:b", mapping=kept)
    installation.start_celery("w", app="support.list_app", slots=1)
    job = installation.client.ask("ledger", batch="b")

    eventually(lambda: job.state() == "waiting", timeout=20, what=lambda: str(job.record()))
    assert job.reason() == "window"
    assert redis.hlen(feed(pair, job.id)) == 4
    other = installation.client.ls(pair.remote, limit=1)
    assert other.wait(60).count == 0, "the one slot is free"

    assert list(taken(records, job, 60)) == list(files.values())


def feed(pair: Pair, job_id: str) -> str:
    return f"{pair.installation.key_prefix}b2jobs:batch:{job_id}:feed"
