"""Plans that are too long to be kept: compared again while they are carried out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from b2jobs.errors import CallerError
from b2jobs.items import Item
from b2jobs.requests import Sync
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.b2.meter import Meter
from b2jobs_worker.batch.plan.source import NotYet
from b2jobs_worker.sync import planner, spool
from b2jobs_worker.sync.entries import Entry, Version
from b2jobs_worker.sync.planner import SyncPlan
from b2jobs_worker.sync.rules import Rules
from b2jobs_worker.sync.sides import Sides


class Store:
    """What a planner asks of its store, without Redis."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.under_way: dict[str, Any] = {}
        self.kept: list[Any] = []
        self.records = SimpleNamespace(prefix="b2jobs:", url="redis://")

    def key(self, kind: str, name: str) -> str:
        return f"{kind}:{name}"

    def note(self, attempt: object, **fields: str) -> None:
        self.fields |= fields

    def add_cost(self, attempt: object, calls: object, dollars: float) -> None: ...

    def state(self, attempt: object) -> dict[str, str]:
        return self.fields

    def packs(self, attempt: object) -> dict[str, Any]:
        return self.under_way


class Bucket:
    """A destination that items change, as workers would."""

    def __init__(self, source: list[str], there: dict[str, int]) -> None:
        self.source = source
        self.there = {
            name: tuple(Version(f"{name}#{n}", 1) for n in range(count))
            for name, count in there.items()
        }

    def sides(self) -> Sides:
        def listed(names: list[str], after: str, versions: bool) -> Iterator[Entry]:
            for name in sorted(names):
                if name > after:
                    found = self.there.get(name, ()) if versions else ()
                    millis = found[0].uploaded_millis if found else 5
                    yield Entry(name, 1, millis, versions=found)

        return Sides(
            Rules("up", deletion="remove", newer="replace"),
            "data://r/",
            "b2://bucket/",
            lambda after: listed(self.source, after, versions=False),
            lambda after: listed(list(self.there), after, versions=True),
            lambda: lambda name: None,
            iter,
            [],
        )

    def do(self, item: Item) -> None:
        name = item.destination.removeprefix("b2://bucket/")
        if item.action == "delete" and name not in self.there:
            return  # planned twice, which does no harm
        if item.action == "upload":
            self.there[name] = (Version(f"{name}#new", 5), *self.there.get(name, ()))
        else:
            left = [v for v in self.there[name] if v.file_id != item.options["versions"]]
            self.there[name] = tuple(left)
            if not left:
                del self.there[name]


@pytest.mark.parametrize("stop_after", [1, 3, 1000])
def test_a_long_plan_ends_where_a_short_one_does(
    monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    monkeypatch.setattr(spool, "MOST_ITEMS", 4)
    monkeypatch.setattr(planner.SyncPlan, "_check", lambda self, removes: None)
    bucket = Bucket([f"{n:02}" for n in range(10)], {"03": 2, "07": 1, "50": 2, "60": 1})
    store = Store()
    request = Sync(source="data://r/", destination="b2://bucket/", delete="remove", max_delete=1)

    def visit() -> SyncPlan:
        attempt: Any = DetachedAttempt("sync")
        return SyncPlan(request, attempt, store, Meter(), bucket.sides)  # type: ignore[arg-type]  # a stand-in

    forecast = visit().forecast()
    assert forecast.items is None
    assert json.loads(store.fields["sync"])["is_spooled"] is False

    cursor = ""
    done: list[str] = []
    for _ in range(100):
        given = visit().items(cursor)
        taken = []
        try:
            for cursor, item in given:  # noqa: B007  # the cursor is where the next visit begins
                assert isinstance(item, Item)
                taken.append(item)
                if len(taken) == stop_after:
                    break
            else:
                break
        except NotYet:
            pass
        # All that was taken has ended before the next visit; nothing was removed beside it.
        assert len({item.action == "upload" for item in taken}) <= 1
        for item in taken:
            bucket.do(item)
            done.append(item.action)

    for item in taken:
        bucket.do(item)
    assert sorted(bucket.there) == [f"{n:02}" for n in range(10)]
    assert all(len(versions) == 1 for versions in bucket.there.values())


def test_removals_wait_until_nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_ITEMS", 0)
    bucket = Bucket(["a"], {"a": 1, "b": 1})
    bucket.there["a"] = (Version("a#0", 5),)
    store = Store()
    store.fields["sync"] = json.dumps({"is_spooled": False})
    request = Sync(source="data://r/", destination="b2://bucket/", delete="remove", max_delete=1)
    attempt: Any = DetachedAttempt("sync")
    plan = SyncPlan(request, attempt, store, Meter(), bucket.sides)  # type: ignore[arg-type]  # a stand-in
    store.under_way = {"pack": ("running", None)}
    with pytest.raises(NotYet):
        list(plan.items("t:a"))
    store.under_way = {}
    assert [item.destination for _, item in plan.items("t:a")] == ["b2://bucket/b"]  # type: ignore[union-attr]  # no refusals


def test_a_source_that_is_gone_by_then_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk was unmounted while the transfers ran: the second comparison saw no file at all."""
    monkeypatch.setattr(spool, "MOST_ITEMS", 2)
    names = [f"{n:02}" for n in range(10)]
    bucket = Bucket(names, {**dict.fromkeys(names, 1), "old": 1})
    for name in names:
        bucket.there[name] = (Version(f"{name}#0", 5),)
    store = Store()
    store.fields["sync"] = json.dumps({"is_spooled": False})
    request = Sync(source="data://r/", destination="b2://bucket/", delete="remove", max_delete=1)
    attempt: Any = DetachedAttempt("sync")

    def removals() -> list[str]:
        plan = SyncPlan(request, attempt, store, Meter(), bucket.sides)  # type: ignore[arg-type]  # a stand-in
        return [item.destination for _, item in plan.items("t:09")]

    assert removals() == ["b2://bucket/old"]
    bucket.source = []
    with pytest.raises(CallerError, match="no file below"):
        removals()
    bucket.source = names[:3]
    request = request.model_copy(update={"max_delete": 0.5})
    with pytest.raises(CallerError, match="max_delete"):
        removals()


def test_a_kept_plan_is_dropped_only_when_the_cursor_behind_its_last_item_is_written() -> None:
    # It was dropped when the last item had been read, before that was in a pack: a worker
    # that died there left a sync that could not go on.
    store = Store()
    store.fields["sync"] = json.dumps({"moves": 2, "is_spooled": True})
    request = Sync(source="data://r/", destination="b2://bucket/")
    attempt: Any = DetachedAttempt("sync")
    plan: Any = SyncPlan(request, attempt, store, Meter(), Bucket([], {}).sides)  # type: ignore[arg-type]  # a stand-in
    dropped: list[bool] = []
    plan._spool = SimpleNamespace(
        read=lambda start, end: ((at, f"item {at}") for at in range(start, end)),
        clear=lambda: dropped.append(True),
    )
    given = []
    with pytest.raises(NotYet):
        given += [behind for behind, _ in plan.items("")]
    assert not dropped
    assert list(plan.items("2")) == []
    assert dropped
