"""What failed lines of a batch carry themselves, kept where the workers' settings say so."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest

from b2jobs.errors import Failure
from b2jobs.items import Item, Planned, refused
from b2jobs.ledger import lines_of, report_line, segment
from b2jobs.locations import StagedBytes, parse
from b2jobs.records import Records
from b2jobs.signing import Ring
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.kept import drop_content, keep_content
from b2jobs_worker.batch.ledger.outcome import Outcome, ledger_line, of_failure, planned_again
from b2jobs_worker.batch.ledger.store import Store

ITEM = Item("upload", "data:text/plain,secret", "b2://bucket/a", options={"info": {"k": "v"}})
FOR_NOW = refused(ITEM, "bucket_missing", "m", for_now=True)
FAILURE = Failure(code="bucket_missing", message="m", act="operator", attempts=1)
ATTEMPT = cast("Attempt", None)  # is asked only while Redis is away


@pytest.fixture
def store(redis_url: str) -> Iterator[Store]:
    records = Records(redis_url, f"t{uuid.uuid4().hex[:8]}:", 10.0, Ring())
    yield Store(records, 60, keeps_content=True)
    names = list(records.redis.scan_iter(match=f"{records.prefix}*"))
    records.redis.delete(*(names or ["x"]))


def line(store: Store, planned: Planned, outcome: Outcome) -> Any:
    kept = keep_content(store, ATTEMPT, "b", planned, outcome)
    [found] = lines_of(segment([ledger_line(3, kept, outcome)]))
    return found


@pytest.mark.parametrize("planned", [ITEM, FOR_NOW], ids=["failed", "refused for now"])
def test_a_line_that_failed_can_be_sent_again_with_its_content(
    store: Store, planned: Planned
) -> None:
    found = line(store, planned, of_failure(planned, FAILURE))

    assert report_line(found)["source"] == "bytes (handed over, 6 B)"
    again = planned_again(found)
    assert again is not None
    assert (again.action, again.destination) == (ITEM.action, ITEM.destination)
    assert again.options == ITEM.options
    location = parse(again.source)
    assert isinstance(location, StagedBytes)
    assert (location.size, location.content_type) == (6, "text/plain")
    assert store.records.pieces.piece(location.id, 0) == b"secret"
    drop_content(store, "another", again)
    assert store.records.pieces.total() == 6
    drop_content(store, "b", again)
    assert store.records.pieces.total() == 0


@pytest.mark.parametrize("why", ["done", "cancelled", "not asked for", "no room"])
def test_nothing_else_is_kept(store: Store, why: str) -> None:
    outcome = of_failure(ITEM, FAILURE)
    if why == "done":
        outcome = Outcome("transferred")
    elif why == "cancelled":
        outcome = of_failure(ITEM, FAILURE.model_copy(update={"code": "cancelled"}))
    elif why == "not asked for":
        store.keeps_content = False
    else:
        store.records.redis.hset(f"{store.records.prefix}retention", "staged_all", 5)

    found = line(store, ITEM, outcome)

    assert found.source == "data:text/plain (6 B)"
    assert planned_again(found) is None or why == "done"
    assert store.records.pieces.total() == 0
