"""Age and size: who takes part in batches and syncs, on whichever side the file is."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as some

from b2jobs.cli.choosing import Size
from b2jobs.cli.main import cli
from b2jobs.errors import InvalidJob
from b2jobs.requests import Sync, build
from b2jobs_worker.attempt import MemoryJournal
from b2jobs_worker.sources.limits import Limits, began_millis
from b2jobs_worker.sync.decide import Hide, Remove, Transfer
from b2jobs_worker.sync.entries import Entry, Trouble, Version
from b2jobs_worker.sync.plan import Tally, pairs, plan, within
from b2jobs_worker.sync.rules import Rules

NOW = 1_700_000_000_000
HOUR = 3_600_000


def limits(**options: Any) -> Limits:
    request = Sync(source="data://r/a/", destination="b2://some-bucket/b/", **options)
    return Limits.of(request, NOW)


def planned(
    sources: list[Entry], destinations: list[Entry], rules: Rules, **options: Any
) -> tuple[list[Any], Tally]:
    tally = Tally()
    matched = within(pairs(iter(sources), iter(destinations)), limits(**options), tally)
    return list(plan(matched, rules, lambda name: None, tally)), tally


def there(name: str, size: int = 1, hours: float = 1, **more: Any) -> Entry:
    return Entry(name, size, round(NOW - hours * HOUR), **more)


def test_both_ends_of_each_limit_take_part() -> None:
    asked = limits(min_age=3600, max_age=7200, min_size=5, max_size=7)
    assert [hours for hours in (0.9, 1, 2, 2.1) if asked.allow(5, round(NOW - hours * HOUR))] == [
        1,
        2,
    ]
    assert [size for size in range(10) if asked.allow(size, NOW - HOUR)] == [5, 6, 7]
    assert limits().allow(0, -(10**15))


def test_what_the_source_has_is_never_taken_for_gone() -> None:
    # A log has grown beyond max_size, and a file was written again a minute ago: the copies
    # that B2 has of them pass the filter, and stay all the same.
    now_large = [there("grown", 100), there("young", 1, 0.01)]
    copies = [there("gone", 1), there("grown", 1), there("young", 1)]
    for deletion, expected in (("hide", Hide), ("remove", Remove)):
        old = [each._replace(versions=(Version("v", NOW - HOUR),)) for each in copies]
        rules = Rules("up", deletion=deletion)  # type: ignore[arg-type]  # one of its words
        actions, tally = planned(now_large, old, rules, max_size=10, min_age=1800)
        assert [type(each) for each in actions] == [expected]
        assert [each.name for each in actions] == ["gone"]
        assert (tally.passed_over, tally.destinations) == (2, 1)


def test_the_sources_file_decides_whatever_the_destination_has() -> None:
    source, large = [there("a", 1, 1)], [there("a", 100, 5)]
    actions, _ = planned(source, large, Rules("up", newer="replace"), max_size=10)
    assert [type(each) for each in actions] == [Transfer]


def test_what_only_the_destination_has_is_judged_by_itself() -> None:
    copies = [there("large", 100), there("old", 1, 50), there("small", 1)]
    actions, _ = planned([], copies, Rules("up", deletion="hide"), max_size=10, max_age=7200)
    assert [each.name for each in actions] == ["small"]


def test_the_size_of_what_is_hidden_is_not_known_so_it_stays() -> None:
    hidden = there(
        "h", 0, versions=(Version("m", NOW, True), Version("v", NOW - HOUR)), is_visible=False
    )
    rules = Rules("up", deletion="remove")
    assert planned([], [hidden], rules, max_size=10)[0] == []
    assert len(planned([], [hidden], rules, min_age=60)[0]) == 2


def test_what_could_not_be_read_is_told_whatever_its_age() -> None:
    broken = Entry("x", trouble=Trouble("cannot be read"))
    actions, _ = planned([broken], [], Rules("up"), min_size=5)
    assert [each.code for each in actions] == ["source_unreadable"]


@given(some.integers(0, 2**40), some.integers(-(10**13), 2 * 10**13))
def test_nothing_said_is_everything(size: int, millis: int) -> None:
    assert limits().allow(size, millis)


def test_ages_are_told_from_one_moment_for_all_attempts() -> None:
    journal = MemoryJournal()
    assert began_millis(journal) == began_millis(journal) > NOW


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"min_age": -1}, "min_age"),
        ({"max_size": -1}, "max_size"),
        ({"min_size": "many"}, "min_size"),
        ({"min_age": 60, "max_age": 30}, "min_age (60) is more than max_age (30)"),
        ({"min_size": 2, "max_size": 1}, "min_size (2) is more than max_size (1)"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        build("sync", {"source": "data://r/a/", "destination": "b2://some-bucket/b/", **options})
    assert field in str(refused.value)


def test_a_manifest_has_no_limits_but_its_lines() -> None:
    with pytest.raises(InvalidJob) as refused:
        build("batch", {"manifest": "data://r/list.csv", "min_size": 1})
    assert "go with a source prefix" in str(refused.value)


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("0", 0),
        ("500", 500),
        ("1K", 1024),
        ("1.5m", 1_572_864),
        ("2GiB", 2 << 30),
        ("1tb", 1 << 40),
    ],
)
def test_sizes_as_people_write_them(said: str, count: int) -> None:
    assert Size().convert(said, None, None) == count


def test_a_size_that_is_none_is_wrong_usage() -> None:
    done = CliRunner().invoke(cli, ["sync", "data://r/a", "b2://some-bucket/", "--min-size", "big"])
    assert done.exit_code == 2
    assert "'big' is not a size" in done.output
