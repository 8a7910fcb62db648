"""What a producer feeds arrives whole, also when it comes between two looks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from b2jobs.errors import CallerError
from b2jobs.feed import RowsBroke, _chunks
from b2jobs.items import Item
from b2jobs_worker.batch.ledger.feed import Look
from b2jobs_worker.batch.plan.feed import FeedPlan
from b2jobs_worker.batch.plan.source import NotYet
from b2jobs_worker.batch.proof.verify import fed_chunks


def row(at: int) -> list[Any]:
    return Item("upload", f"data://r/{at}", f"b2://some-bucket/{at}", line=at).packed()


class PlayedFeed:
    """Chunks in a dict; `passed` is the written cursor, as the planner wrote it."""

    def __init__(self, chunks: int = 0, *, ended: bool = False) -> None:
        self.chunks = {at: [row(at)] for at in range(chunks)}
        self.ended = ended
        self.passed = 0
        self.broke = ""
        self.silent_seconds = 0.0
        self.is_retried = False
        self.after_look = lambda: None

    def look(self, number: int) -> Look:
        # The order of the real one: how the feed stands, then the chunk.
        end = len(self.chunks) if self.ended else None
        self.after_look()
        told = (self.broke, end, self.silent_seconds, self.passed, self.is_retried)
        return Look(self.chunks.get(number), *told)

    def drop_before(self, number: int) -> None:
        for at in [at for at in self.chunks if at < number]:
            self.chunks[at] = None  # type: ignore[assignment]


def rows_of(feed: PlayedFeed, number: int = 1) -> list[Any]:
    """What attempt *number* at a verification takes."""
    asks = SimpleNamespace(job_id="job", number=number, checkpoint=lambda: None)

    def taken(count: int) -> None:
        feed.passed = count

    return list(fed_chunks(feed, asks, taken))  # type: ignore[arg-type]


def planned(feed: PlayedFeed, cursor: str = "") -> list[str]:
    return [behind for behind, _ in FeedPlan(feed).items(cursor)]  # type: ignore[arg-type]


def test_nothing_is_dropped_before_the_cursor_that_passed_it_is_written() -> None:
    # A feed lost everything behind the point where the planner caught up: chunks were dropped
    # before the plan's own position, although what it had given was not in a pack yet. The
    # next step began at the written cursor and found its chunk gone.
    feed = PlayedFeed(3)
    plan = FeedPlan(feed)  # type: ignore[arg-type]
    given = []
    with pytest.raises(NotYet):
        given += [behind for behind, _ in plan.items("")]
    assert [at for at, rows in feed.chunks.items() if rows] == [0, 1, 2]
    feed.passed = 2  # what is written is written, whatever has been read beyond it
    feed.ended = True
    assert planned(feed, "2:0") == ["2:1"]
    assert [at for at, rows in feed.chunks.items() if rows] == [2]


def test_a_chunk_and_the_end_that_come_while_it_is_looked_for_are_planned() -> None:
    feed = PlayedFeed()

    def comes() -> None:
        feed.chunks[0] = [row(0)]
        feed.ended = True

    feed.after_look = comes
    assert planned(feed) == ["0:1"]


def test_a_chunk_that_comes_behind_a_look_comes_with_the_next() -> None:
    feed = PlayedFeed()
    with pytest.raises(NotYet):
        planned(feed)
    feed = PlayedFeed(1, ended=True)
    assert planned(feed) == ["0:1"]
    assert len(rows_of(feed)) == 1


def test_a_later_attempt_goes_on_where_nothing_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Any second attempt ended as `feed_broken`, also where its worker had died before the
    # producer had said a word.
    feed = PlayedFeed()

    def comes(_: float) -> None:
        feed.chunks[0] = [row(0)]
        feed.ended = True

    monkeypatch.setattr("b2jobs_worker.batch.proof.verify.time.sleep", comes)
    assert rows_of(feed, number=2) == [[row(0)]]
    assert feed.passed == 1
    # It has died since, whether or not what it took is dropped by now.
    feed.chunks[1] = [row(1)]
    feed.drop_before(1)
    with pytest.raises(CallerError, match="did not all arrive"):
        rows_of(feed, number=3)


def test_a_verification_that_is_tried_again_has_no_producer() -> None:
    feed = PlayedFeed()
    feed.is_retried = True
    with pytest.raises(CallerError, match="did not all arrive"):
        rows_of(feed, number=2)


def test_a_chunk_that_never_comes_is_an_error() -> None:
    feed: Any = PlayedFeed(1, ended=True)
    feed.chunks[0] = None
    with pytest.raises(CallerError, match="Chunk 0 of 1"):
        planned(feed)
    with pytest.raises(CallerError, match="did not all arrive"):
        rows_of(feed)


def test_a_producer_that_died_before_its_first_chunk_is_noticed() -> None:
    feed = PlayedFeed()
    feed.silent_seconds = 601.0
    with pytest.raises(CallerError, match="No items came"):
        planned(feed)


def test_items_that_ended_with_an_error_are_planned_up_to_it() -> None:
    feed: Any = PlayedFeed(1)
    feed.broke = "The items ended with ValueError: no"
    given = []
    with pytest.raises(CallerError, match="ValueError: no") as broken:
        given += [behind for behind, _ in FeedPlan(feed).items("")]
    assert broken.value.code == "feed_broken"
    with pytest.raises(CallerError):
        rows_of(feed)


def test_what_came_before_an_error_is_kept_and_a_slow_producer_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rows() -> Any:
        yield from range(1500)
        raise ValueError("no")

    chunks = _chunks(rows())
    assert len(next(chunks)) == 1000
    with pytest.raises(RowsBroke) as broke:
        next(chunks)
    assert broke.value.rows == list(range(1000, 1500))
    now = iter(range(100))
    monkeypatch.setattr("b2jobs.feed.time.monotonic", lambda: 2.0 * next(now))
    assert list(_chunks([1, 2])) == [[1], [2]]


def test_content_on_its_way_takes_little_of_redis() -> None:
    """A thousand `data:` locations of 256 KiB were one chunk of 350 MB, and 128 MB of a pack."""
    content = "data:;base64," + "A" * 349_000
    rows = [Item("upload", content, f"b2://bucket/{n}").packed() for n in range(20)]
    assert [len(chunk) for chunk in _chunks(rows)] == [4] * 5
