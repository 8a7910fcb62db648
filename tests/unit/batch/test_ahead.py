"""What is there is listed by the page where that saves calls, and asked one by one where not."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from b2jobs.errors import CallerError, OperatorError
from b2jobs.items import Item, Planned
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.batch.ledger.outcome import Outcome, ledger_line, planned_again
from b2jobs_worker.batch.plan import ahead
from b2jobs_worker.batch.plan.ahead import AHEAD, WORTH, LookedAhead
from b2jobs_worker.batch.plan.source import Forecast, NotYet
from b2jobs_worker.transfer import target
from b2jobs_worker.transfer.target import SHOWN_SECONDS, shown

PAGE = 1000
SHA1 = "0" * 40


class Bucket:
    """A bucket that is listed by the page, as B2 does."""

    def __init__(self, names: list[str]) -> None:
        self.names = sorted(names)
        self.meter = SimpleNamespace(calls={"a": 0, "b": 0, "c": 0}, dollars=0.0)
        self.capabilities = {"listFiles"}
        self.refuses = False

    def account(self) -> Any:
        return SimpleNamespace(capabilities=self.capabilities, name_prefix=None)

    def bucket(self, name: str) -> str:
        return name

    def page(self, client: Any, bucket: str, prefix: str, start: Any) -> Any:
        del client, bucket
        self.meter.calls = {**self.meter.calls, "c": self.meter.calls["c"] + 1}
        if self.refuses:
            raise OperatorError("access_denied", "no")
        found = [name for name in self.names if name.startswith(prefix) and name >= start[0]]
        page = [{"fileName": name, "fileId": name, "contentSha1": SHA1} for name in found[:PAGE]]
        return page, (found[PAGE], None) if len(found) > PAGE else None


class Plan:
    def __init__(self, planned: list[Planned], stop: Exception | None = None) -> None:
        self.planned = planned
        self.stop = stop

    def forecast(self) -> Forecast:
        return Forecast()

    def items(self, cursor: str) -> Iterator[tuple[str, Planned]]:
        first = int(cursor or 0)
        for number, planned in enumerate(self.planned[first:], first + 1):
            yield str(number), planned
        if self.stop:
            raise self.stop


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def look(bucket: Bucket, planned: list[Planned], if_exists: str = "skip") -> Any:
        spent: list[int] = []
        before = bucket.meter.calls["c"]
        monkeypatch.setattr(ahead, "page_of", bucket.page)
        looked = LookedAhead(
            Plan(planned),
            if_exists,
            bucket,  # type: ignore[arg-type]  # a stand-in
            lambda calls, dollars: spent.append(calls["c"]),
        )
        found = list(looked.items(""))
        assert [cursor for cursor, _ in found] == [str(n + 1) for n in range(len(planned))]
        assert sum(spent) == bucket.meter.calls["c"] - before
        return [each for _, each in found]

    return look


def uploads(names: list[str], **options: Any) -> list[Planned]:
    return [
        Item("upload", f"data://r/{name}", f"b2://some-bucket/{name}", 0, options=options)
        for name in names
    ]


def there(found: list[Planned]) -> list[str]:
    return [str(each.options["listed"][0]) for each in found if "listed" in each.options]  # type: ignore[union-attr]  # items


def test_in_order_a_call_tells_of_a_thousand_names(listed: Any) -> None:
    names = [f"in/{n:05}" for n in range(3500)]
    bucket = Bucket(names)
    assert there(listed(bucket, uploads(names))) == names
    assert bucket.meter.calls["c"] == 4


def test_a_manifest_in_no_order_is_sorted_some_thousand_lines_at_a_time(listed: Any) -> None:
    names = [f"{n:05}" for n in range(12_000)]
    mixed = random.Random(5).sample(names, len(names))
    bucket = Bucket(names)
    assert there(listed(bucket, uploads(mixed))) == mixed
    assert bucket.meter.calls["c"] <= 12 * (2 + -(-len(names) // AHEAD))


def test_few_names_among_many_others_ask_for_themselves(listed: Any) -> None:
    others = [f"{n:06}" for n in range(50_000)]
    bucket = Bucket(others)
    listed(bucket, uploads(others[::2000]))
    assert bucket.meter.calls["c"] == 2
    few = Bucket(others)
    listed(few, uploads(others[: WORTH - 1]))
    assert few.meter.calls["c"] == 0


def test_an_empty_destination_costs_one_call_a_look(listed: Any) -> None:
    bucket = Bucket(["elsewhere"] * 3000)
    assert there(listed(bucket, uploads([f"new/{n}" for n in range(3000)]))) == []
    assert bucket.meter.calls["c"] == 2


def test_what_asks_nothing_is_not_looked_for(listed: Any) -> None:
    names = [f"{n:05}" for n in range(100)]
    bucket = Bucket(names)
    assert there(listed(bucket, uploads(names, if_exists="version"))) == []
    assert bucket.meter.calls["c"] == 0
    assert len(there(listed(bucket, uploads(names, if_exists="fail"), "version"))) == 100


def test_each_kind_asks_about_its_own_file(listed: Any) -> None:
    bucket = Bucket([f"{n:02}" for n in range(40)])
    mixed: list[Planned] = []
    for n in range(10):
        name = f"{n:02}"
        mixed += [
            Item("download", f"b2://some-bucket/{name}", f"data://r/{name}"),
            Item("copy", "b2://some-bucket/zz", f"b2://some-bucket/{name}"),
            Item("upload", f"data://r/{name}", "b2://some-bucket/"),
            Item("delete", "", f"b2://some-bucket/{name}"),
        ]
    assert len(there(listed(bucket, mixed))) == 30


def test_a_key_that_may_not_list_asks_one_by_one(listed: Any) -> None:
    names = [f"{n:05}" for n in range(100)]
    refusing, closed = Bucket(names), Bucket(names)
    refusing.refuses = True
    closed.capabilities = set()
    for bucket, calls in ((refusing, 1), (closed, 0)):
        assert there(listed(bucket, uploads(names))) == []
        assert bucket.meter.calls["c"] == calls


@given(some.sets(some.integers(0, 3000), max_size=80), some.sets(some.integers(0, 3000)))
def test_it_says_what_is_there_and_nothing_else(planned: set[int], stored: set[int]) -> None:
    bucket = Bucket([f"{n:04}" for n in stored])
    mixed = random.Random(len(planned)).sample(sorted(planned), len(planned))
    before, ahead.page_of = ahead.page_of, bucket.page  # type: ignore[assignment]  # a stand-in
    try:
        looked = LookedAhead(
            Plan(uploads([f"{n:04}" for n in mixed])),
            "skip",
            bucket,  # type: ignore[arg-type]  # a stand-in
            lambda calls, dollars: None,
        )
        found = [each for _, each in looked.items("")]
    finally:
        ahead.page_of = before
    said = there(found)
    assert set(said) <= {f"{n:04}" for n in planned & stored}
    if len(planned) >= WORTH and len(planned & stored) >= WORTH and len(stored) <= PAGE:
        assert set(said) == {f"{n:04}" for n in planned & stored}


def test_what_came_before_a_stop_is_used_first() -> None:
    stop = NotYet(1.0)
    bucket = Bucket([])
    looked = LookedAhead(
        Plan(uploads(["a"]), stop),
        "skip",
        bucket,  # type: ignore[arg-type]  # a stand-in
        lambda calls, dollars: None,
    )
    stream = looked.items("")
    assert next(stream)[0] == "1"
    with pytest.raises(NotYet):
        next(stream)


# -- what an item makes of it -------------------------------------------------------------


def decide(if_exists: Any, seen: Any, now: FileVersion | None, sha1: str) -> tuple[Any, int]:
    """What `look` comes to, and how often it has asked B2."""
    asked: list[str] = []

    def latest(bucket: Any, name: str) -> FileVersion | None:
        asked.append(name)
        return now

    new: Any = SimpleNamespace(
        bucket=SimpleNamespace(name="some-bucket"),
        name="x",
        committed=SimpleNamespace(is_ours=lambda version: False),
    )
    client: Any = SimpleNamespace(latest=latest)
    attempt: Any = SimpleNamespace(number=1)
    found = target.look(
        client, attempt, new, if_exists, size=5, sha1=lambda: sha1, left=None, listed=seen
    )
    return found, len(asked)


def seen(sha1: str | None = SHA1, size: int = 5, ago: float = 0) -> Any:
    return ("id", size, sha1, time.time() - ago)


def test_the_same_bytes_end_an_item_without_a_call() -> None:
    found, calls = decide("skip", seen(), None, SHA1)
    assert (found.same.file_id, calls) == ("id", 0)


@pytest.mark.parametrize(
    "listed", [None, seen(sha1="1" * 40), seen(size=6), seen(sha1=None), seen(ago=SHOWN_SECONDS)]
)
def test_whatever_is_to_be_sent_asks_once_more(listed: Any) -> None:
    # Somebody has put the same bytes there since: nothing is sent after all.
    now = FileVersion("theirs", "x", size=5, content_sha1=SHA1)
    found, calls = decide("skip", listed, now, SHA1)
    assert (found.same and found.same.file_id, calls) == ("theirs", 1)
    found, calls = decide("skip", listed, None, SHA1)
    assert (found.same, calls) == (None, 1)


def test_fail_fails_for_what_was_listed_and_looks_again_for_what_was_not() -> None:
    with pytest.raises(CallerError) as failed:
        decide("fail", seen(), None, SHA1)
    assert failed.value.code == "file_exists"
    with pytest.raises(CallerError):
        decide("fail", None, FileVersion("theirs", "x"), SHA1)
    assert decide("fail", seen(ago=SHOWN_SECONDS), None, SHA1)[1] == 1


def test_a_clock_that_is_ahead_is_not_believed_for_long() -> None:
    assert shown(seen(ago=-30), "x") is not None
    assert shown(seen(ago=-120), "x") is None


def test_what_is_tried_again_later_looks_anew() -> None:
    item = uploads(["a"], if_exists="fail", listed=seen())[0]
    line = ledger_line(0, item, Outcome("failed", code="file_exists"))
    from b2jobs.ledger import lines_of, segment

    [read] = lines_of(segment([line]))
    again = planned_again(read)
    assert again is not None
    assert again.options == {"if_exists": "fail"}
