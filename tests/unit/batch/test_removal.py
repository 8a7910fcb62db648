"""Which versions a removal plans, and where it goes on: against a listing played from a list."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from b2jobs.errors import InvalidJob
from b2jobs.items import Item
from b2jobs.requests import Batch, build
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.batch.plan import removal
from b2jobs_worker.batch.plan.removal import RemovalPlan
from b2jobs_worker.batch.plan.source import NotYet

NOW = 1_000_000


class Listing:
    """B2's versions, newest first within a name."""

    def __init__(self, versions: list[tuple[str, int, str, int]]) -> None:
        self.versions = [
            {"fileName": name, "uploadTimestamp": at, "action": action, "contentLength": size}
            | {"fileId": f"{name}#{at}{action}"}
            for name, at, action, size in sorted(versions, key=lambda each: (each[0], -each[1]))
        ]

    def pages(self, client: Any, bucket: Any, prefix: str, start: Any, *, versions: bool) -> Any:
        del client, bucket
        assert versions
        found = [
            each
            for each in self.versions
            if str(each["fileName"]).startswith(prefix) and each["fileName"] >= (start[0] or "")
        ]
        yield found, None

    def remove(self, file_id: str) -> None:
        self.versions = [each for each in self.versions if each["fileId"] != file_id]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(listing: Listing, **asked: Any) -> RemovalPlan:
        monkeypatch.setattr(removal, "listed_pages", listing.pages)
        return plan_of(**asked)

    return made


def plan_of(**asked: Any) -> RemovalPlan:
    request = Batch(**{"target": "b2://some-bucket/in/", "versions": "all", **asked})
    http = SimpleNamespace(told_millis=lambda: NOW)
    client: Any = SimpleNamespace(
        account=lambda: SimpleNamespace(http=http),
        bucket=lambda name: name,
        meter=SimpleNamespace(calls={}, dollars=0.0),
    )
    return RemovalPlan(request, DetachedAttempt(), client, lambda calls, dollars: None, lambda: 0)


def ids(plan: RemovalPlan, cursor: str = "") -> list[str]:
    return [item.options["versions"] for _, item in plan.items(cursor)]  # type: ignore[union-attr]  # items


UP, HIDE, START = "upload", "hide", "start"


def test_the_newest_of_each_visible_name_and_nothing_outside(make: Any) -> None:
    listing = Listing(
        [
            *(("in/a", 1, UP, 1), ("in/a", 2, UP, 1)),
            *(("in/hidden", 1, UP, 1), ("in/hidden", 2, HIDE, 0)),
            *(("in/begun", 3, START, 0), ("in/begun", 1, UP, 1)),
            *(("inside", 1, UP, 1), ("x", 1, UP, 1)),
        ]
    )
    assert ids(make(listing, versions="latest")) == ["in/a#2upload", "in/begun#1upload"]


def test_going_on_behind_a_name_leaves_its_older_versions_alone(make: Any) -> None:
    # A planner that went on after the last name's newest version had been removed took the one
    # below it for the newest: two versions were gone instead of one.
    listing = Listing([("in/a", 1, UP, 1), ("in/a", 2, UP, 1), ("in/b", 1, UP, 1)])
    cursor, first = next(iter(make(listing, versions="latest").items("")))
    assert isinstance(first, Item)
    listing.remove(first.options["versions"])
    assert ids(make(listing, versions="latest"), cursor) == ["in/b#1upload"]


def test_everything_goes_and_markers_last(make: Any) -> None:
    listing = Listing([("in/a", 1, UP, 1), ("in/a", 2, HIDE, 0), ("in/b", 1, START, 0)])
    plan = make(listing)
    planned = [item for _, item in plan.items("")]
    # Played as if nothing had gone yet: what a marker hides is there, so it stays.
    assert [(each.options["versions"], each.options["shown"]) for each in planned] == [
        ("in/a#1upload", "file"),
        ("in/b#1start", "unfinished"),
    ]
    for each in planned:
        listing.remove(each.options["versions"])
    cursor = list(plan.items(""))
    assert [item.options["versions"] for _, item in cursor] == ["in/a#2hide"]


def test_a_marker_waits_for_what_is_under_way(make: Any) -> None:
    plan = make(Listing([("in/a", 2, HIDE, 0)]))
    plan._under_way = lambda: 1
    with pytest.raises(NotYet):
        list(plan.items(""))


def test_a_dry_run_counts_the_markers_that_would_go(make: Any) -> None:
    listing = Listing([("in/a", 1, UP, 7), ("in/a", 2, HIDE, 0), ("in/b", 5, UP, 9)])
    plan = make(listing, dry_run=True, max_size=8)
    assert ids(plan) == ["in/a#1upload", "in/a#2hide"]
    assert sum(item.size or 0 for _, item in plan.items("")) == 7


def test_what_is_kept_stays_hidden(make: Any) -> None:
    # The old version is too large to go: without its marker it would be seen again.
    listing = Listing([("in/a", 1, UP, 100), ("in/a", 2, HIDE, 0)])
    assert ids(make(listing, max_size=10)) == []
    assert ids(make(listing, max_size=10, dry_run=True)) == []


def test_what_came_after_the_first_look_stays(make: Any) -> None:
    listing = Listing([("in/a", 1, UP, 1), ("in/a", NOW + 5000, UP, 1), ("in/b", NOW + 1, UP, 1)])
    assert ids(make(listing)) == ["in/a#1upload"]
    assert ids(make(listing, versions="latest")) == []


def test_ages_are_told_from_the_upload_and_patterns_below_the_prefix(make: Any) -> None:
    listing = Listing([("in/old.log", NOW - 90_000, UP, 1), ("in/new.log", NOW - 10_000, UP, 1)])
    assert ids(make(listing, min_age=60)) == ["in/old.log#910000upload"]
    assert ids(make(listing, max_age=60)) == ["in/new.log#990000upload"]
    assert ids(make(listing, include=["/old*"])) == ["in/old.log#910000upload"]
    assert ids(make(listing, exclude=["*.log"])) == []


def test_names_that_b2_takes_no_longer_go_by_their_id(make: Any) -> None:
    listing = Listing([("in/a//b", 1, UP, 1), ("in/folder/", 1, UP, 0), ("in/x\x01", 2, START, 0)])
    planned = [item for _, item in make(listing).items("")]
    assert [each.destination for each in planned] == [
        "b2id://in/a//b#1upload",
        "b2id://in/folder/#1upload",
        "b2id://in/x\x01#2start",
    ]


@given(
    some.lists(
        some.tuples(
            some.sampled_from(["in/a", "in/b", "in/b/c", "out"]),
            some.integers(1, 6),
            some.sampled_from([UP, HIDE, START]),
            some.just(1),
        ),
        unique_by=lambda each: (each[0], each[1], each[2]),
        max_size=14,
    ),
    some.lists(some.integers(0, 20), max_size=4),
    some.sampled_from(["all", "latest"]),
)
def test_stopped_anywhere_each_version_is_planned_once(
    versions: list[tuple[str, int, str, int]], stops: list[int], which: str
) -> None:
    listing = Listing(versions)
    before, removal.listed_pages = removal.listed_pages, listing.pages  # type: ignore[assignment]  # played
    planned: list[str] = []
    cursor = ""
    try:
        for stop in [*stops, 1000]:
            plan = plan_of(versions=which)
            for number, (behind, item) in enumerate(plan.items(cursor)):
                if number >= stop:
                    break
                assert isinstance(item, Item)
                planned.append(item.options["versions"])
                cursor = behind
            # The first half of what is under way has been done when the planner goes on.
            for done in planned[: len(planned) // 2]:
                listing.remove(done)
    finally:
        removal.listed_pages = before
    assert len(planned) == len(set(planned))
    assert not [each for each in planned if not each.startswith("in/")]
    if which == "latest":
        assert json.dumps(sorted(planned)) == json.dumps(sorted(_newest(versions)))
    else:
        going = {f"{n}#{at}{a}" for n, at, a, _ in versions if n.startswith("in/") and a != HIDE}
        assert going <= set(planned)


def _newest(versions: list[tuple[str, int, str, int]]) -> list[str]:
    found: dict[str, str] = {}
    for each in Listing(versions).versions:
        if str(each["fileName"]).startswith("in/") and each["action"] != START:
            found.setdefault(str(each["fileName"]), f"{each['action']} {each['fileId']}")
    return [each.partition(" ")[2] for each in found.values() if each.startswith(UP)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"target": "b2://some-bucket/a"}, "is not a prefix"),
        ({"target": "data://r/a/"}, "is not a prefix"),
        ({"target": "b2://some-bucket/a/", "manifest": "data://r/m.csv"}, "only one of them"),
        ({"target": "b2://some-bucket/a/", "if_exists": "skip"}, "if_exists has no meaning"),
        ({"target": "b2://some-bucket/a/", "versions": "some"}, "versions"),
        ({"manifest": "data://r/m.csv", "versions": "all"}, "goes with a target"),
        (
            {"target": "b2://some-bucket/a/", "ledger": "b2://some-bucket/a/l/"},
            "must not lie in the target",
        ),
        ({"target": "b2://some-bucket/a/", "cache_control": "no-store"}, "has no meaning"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        build("batch", asked)
    assert said in str(refused.value)
