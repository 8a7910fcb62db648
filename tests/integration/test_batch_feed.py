"""Items that stream in, however fast they come and however they end. Nothing is moved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from b2jobs.errors import JobFailed
from support.installation import Installation
from support.waiting import eventually


@pytest.fixture
def played(installation: Installation) -> Installation:
    installation.start_celery("w", app="support.batch_app")
    return installation


def item(at: int) -> dict[str, str]:
    return {"source": f"data://r/{at}", "destination": f"b2://some-bucket/{at}"}


def paced(*pauses: tuple[int, float]) -> Iterator[dict[str, str]]:
    """So many items, then a pause in seconds, and so on."""
    at = 0
    for count, pause in pauses:
        for _ in range(count):
            yield item(at)
            at += 1
        time.sleep(pause)


def test_items_behind_a_pause_are_not_lost(played: Installation) -> None:
    # The planner caught up with the producer, and the chunk it stood in was dropped.
    batch = played.client.batch_items(paced((1000, 3.0), (1000, 0), (3, 1.5), (3, 0)))
    assert batch.wait(timeout=60).outcomes == {"transferred": 2006}
    assert sorted(line["line"] for line in batch.lines()) == list(range(1, 2007))


def test_short_feeds_end_however_their_end_falls(played: Installation) -> None:
    batches = [played.client.batch_items(paced((2, at * 0.004), (1, 0))) for at in range(10)]
    for batch in batches:
        assert batch.wait(timeout=60).outcomes == {"transferred": 3}


def test_the_key_of_a_batch_that_has_ended_gives_its_handle(played: Installation) -> None:
    first = played.client.batch_items([item(0)], key="nightly")
    first.wait(timeout=60)

    def unread() -> Iterator[dict[str, str]]:
        raise AssertionError("the items of a second batch are not looked at")
        yield

    again = played.client.batch_items(unread(), key="nightly")
    assert again.id == first.id
    assert again.wait(timeout=5).items == 1


def test_items_that_raise_end_the_batch_and_name_it(played: Installation) -> None:
    def broken() -> Iterator[dict[str, str]]:
        yield from map(item, range(3))
        raise LookupError("the table is gone")

    with pytest.raises(JobFailed, match="the table is gone") as failed:
        played.client.batch_items(broken())
    assert isinstance(failed.value.__cause__, LookupError)
    batch = played.client.batch_job(failed.value.job)
    assert batch.id in str(failed.value)
    eventually(lambda: batch.record().has_ended, timeout=60)
    assert batch.record().failure is not None
    assert batch.record().failure.code == "feed_broken"
    assert batch.status().outcomes == {"transferred": 3}


def test_whoever_interrupts_the_items_cancels_the_batch(played: Installation) -> None:
    def interrupted() -> Iterator[dict[str, str]]:
        yield from map(item, range(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        played.client.batch_items(interrupted(), key="interrupted")
    batch = played.client.batch_items([], key="interrupted")
    eventually(lambda: batch.state() == "cancelled", timeout=60)


def test_bad_items_stand_in_the_ledger_with_their_number(played: Installation) -> None:
    bad: list[Any] = [
        *(None, ("a", "b"), 7, {"source": "data://r/x"}),
        {**item(0), "source": "data://r/\ud800"},
        {**item(0), "destination": "b2://some-bucket/\udfff"},
        {**item(0), "content_type": "\ud800"},
        {**item(0), "content_type": b"text/plain"},
        {**item(0), "size": float("inf")},
        {**item(0), "size": 10**30},
        {**item(0), "info": {"k": object()}},
        {**item(0), "\ud800": 1},
        {1: 2},
    ]
    batch = played.client.batch_items([item(0), *bad, item(1)])
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    lines = {line["line"]: line["status"] for line in batch.lines()}
    good = {1: "transferred", len(bad) + 2: "transferred"}
    assert lines == {**{at + 2: "failed" for at in range(len(bad))}, **good}


CONTENT = [
    {"source": f"data:text/plain,{name}/bad", "destination": f"b2://some-bucket/{name}"}
    for name in ("a", "b")
]


def test_what_failed_lines_carry_is_kept_for_a_retry(installation: Installation) -> None:
    installation.settings["B2JOBS_KEEP_STAGED_SECONDS"] = "600"
    installation.start_celery("w", app="support.batch_app")
    batch = installation.client.batch_items(CONTENT)
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    assert {line["source"] for line in batch.lines()} == {"bytes (handed over, 5 B)"}
    assert installation.client.records.pieces.total() == 10

    # What is run again is named otherwise, and so is accepted by the played upload.
    assert batch.retry() == "queued"

    assert batch.wait(timeout=60).outcomes == {"transferred": 2}
    assert installation.client.records.pieces.total() == 0


def test_what_failed_lines_carry_is_gone_where_nothing_is_to_be_kept(played: Installation) -> None:
    batch = played.client.batch_items(CONTENT)
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    assert [line["action"] for line in batch.lines()] == ["refused"] * 2
    assert played.client.records.pieces.total() == 0


def test_a_dry_run_of_more_than_lies_in_redis_ends(played: Installation) -> None:
    batch = played.client.batch_items(paced((20_000, 1.2), (1, 0)), dry_run=True)
    assert batch.wait(timeout=60).plan["upload"]["items"] == 20_001
