"""The plan of a sync, against a simple model of what both sides must be afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs.errors import InternalError
from b2jobs_worker.sources.names import LocalNames
from b2jobs_worker.sync.decide import DAY_MILLIS, Action, Hide, Problem, Remove, Transfer
from b2jobs_worker.sync.entries import Entry, Version
from b2jobs_worker.sync.plan import Tally, pairs, plan
from b2jobs_worker.sync.rules import Rules

NOW = 1_800_000_000_000
NAMES = st.sampled_from(["a", "a.txt", "a/b", "a/c", "a0", "b", "b/ä", "z/y/x", "é"])
TIMES = st.integers(0, 40).map(lambda days: NOW - days * DAY_MILLIS)
SHA1S = st.sampled_from([None, "0" * 40, "1" * 40])


@st.composite
def files(draw: st.DrawFn) -> dict[str, Entry]:
    """One side without history."""
    return {
        name: Entry(name, draw(st.integers(0, 2)), draw(TIMES), draw(SHA1S))
        for name in draw(st.sets(NAMES))
    }


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Entry]:
    """A prefix of a bucket: random versions and hide markers, the newest first."""
    found = {}
    for name in draw(st.sets(NAMES)):
        versions = tuple(
            Version(f"{name}#{number}", draw(TIMES), draw(st.booleans()))
            for number in range(draw(st.integers(1, 4)))
        )
        found[name] = Entry(
            name,
            draw(st.integers(0, 2)),
            versions[0].uploaded_millis,
            draw(SHA1S),
            versions[0].file_id,
            versions=versions,
            is_visible=not versions[0].is_hide,
        )
    return found


RULES = st.builds(
    Rules,
    direction=st.sampled_from(["up", "copy"]),
    compare=st.sampled_from(["modtime", "size", "sha1", "none"]),
    newer=st.sampled_from(["fail", "skip", "replace"]),
    deletion=st.sampled_from(["keep", "hide", "remove", "keep_days"]),
    keep_days=st.integers(1, 30),
    now_millis=st.just(NOW),
)


def listing(side: dict[str, Entry]) -> Iterator[Entry]:
    return iter(sorted(side.values(), key=lambda entry: entry.name.encode()))


def planned(
    source: dict[str, Entry], destination: dict[str, Entry], rules: Rules
) -> tuple[list[Action], Tally]:
    tally = Tally()
    refuse = LocalNames().judge if rules.direction == "down" else lambda name: None
    return list(plan(pairs(listing(source), listing(destination)), rules, refuse, tally)), tally


def executed(actions: list[Action], bucket: dict[str, Entry]) -> dict[str, Entry]:
    """The bucket after *actions*, done in any order that keeps `follows`."""
    after = {name: list(entry.versions) for name, entry in bucket.items()}
    content = dict(bucket)
    for action in actions:
        match action:
            case Transfer(source=source):
                made = Version(f"{source.name}#new", source.modified_millis)
                after.setdefault(source.name, []).insert(0, made)
                content[source.name] = source
            case Hide(name=name):
                after[name].insert(0, Version(f"{name}#hidden", NOW, True))
            case Remove(name=name, file_id=file_id):
                kept = [version for version in after[name] if version.file_id != file_id]
                assert len(kept) == len(after[name]) - 1, "a version is removed once"
                after[name] = kept
            case Problem():
                pass
    return {
        name: content[name]._replace(versions=tuple(left), is_visible=not left[0].is_hide)
        for name, left in after.items()
        if left
    }


def same(source: Entry, destination: Entry, rules: Rules) -> bool:
    """The model's own idea of `unchanged`."""
    near = abs(source.modified_millis - destination.modified_millis) <= 1
    match rules.compare:
        case "none":
            return True
        case "modtime":
            return near
        case "size":
            return source.size == destination.size
        case _:
            if source.size != destination.size:
                return False
            if source.sha1 and destination.sha1:
                return source.sha1 == destination.sha1
            return near


@given(files(), histories(), RULES)
def test_a_bucket_becomes_what_the_model_says(
    source: dict[str, Entry], bucket: dict[str, Entry], rules: Rules
) -> None:
    actions, tally = planned(source, bucket, rules)
    after = executed(actions, bucket)
    left_alone = {action.name for action in actions if isinstance(action, Problem)}

    for name, entry in source.items():
        before = bucket.get(name)
        if before is None or not before.is_visible:
            assert after[name].is_visible
            assert after[name].size == entry.size
            continue
        older = rules.compare == "modtime" and entry.modified_millis < before.modified_millis - 1
        unchanged = same(entry, before, rules) or (older and rules.newer == "skip")
        if older and rules.newer == "fail":
            assert name in left_alone
            assert after[name] == before
        elif unchanged:
            assert after[name].versions[0] == before.versions[0]
        else:
            assert after[name].versions[0].file_id == f"{name}#new"

    for name, before in bucket.items():
        if name in source:
            if rules.deletion == "remove" and name not in left_alone:
                assert len(after[name].versions) == 1
            continue
        match rules.deletion:
            case "keep":
                assert after[name] == before
            case "hide":
                assert not after[name].is_visible
                assert set(before.versions) <= set(after[name].versions)
            case "remove":
                assert name not in after
            case "keep_days":
                assert name not in after or not after[name].is_visible

    visible = [entry for entry in bucket.values() if entry.is_visible]
    assert tally.destinations == len(visible)
    assert tally.sources == len(source)
    gone = sum(entry.name not in source for entry in visible)
    assert tally.gone == (0 if rules.deletion == "keep" else gone)


@given(files(), histories(), RULES)
def test_keep_days_keeps_all_that_was_visible_since_then(
    source: dict[str, Entry], bucket: dict[str, Entry], rules: Rules
) -> None:
    rules = replace(rules, deletion="keep_days")
    # A real history is in the order of its times.
    ordered = {
        name: entry._replace(
            versions=tuple(sorted(entry.versions, key=lambda v: -v.uploaded_millis))
        )
        for name, entry in bucket.items()
    }
    ordered = {
        name: entry._replace(is_visible=not entry.versions[0].is_hide)
        for name, entry in ordered.items()
    }
    removed = {a.file_id for a in planned(source, ordered, rules)[0] if isinstance(a, Remove)}
    limit = NOW - rules.keep_days * DAY_MILLIS
    for entry in ordered.values():
        until = NOW
        for version in entry.versions:
            if not version.is_hide and until >= limit:
                assert version.file_id not in removed
            until = version.uploaded_millis


@given(files(), histories(), RULES)
def test_a_second_sync_of_the_same_pair_does_nothing(
    source: dict[str, Entry], bucket: dict[str, Entry], rules: Rules
) -> None:
    rules = replace(rules, newer="replace")
    first, _ = planned(source, bucket, rules)
    after = executed(first, bucket)
    second, tally = planned(source, after, rules)
    if rules.deletion != "keep_days":
        assert second == []
    assert tally.transfers == 0
    assert tally.gone == 0


@given(files(), histories(), st.sampled_from(["keep", "remove"]))
def test_a_folder_becomes_what_the_model_says(
    source: dict[str, Entry], folder: dict[str, Entry], deletion: str
) -> None:
    local = {name: entry._replace(versions=(), is_visible=True) for name, entry in folder.items()}
    rules = Rules("down", newer="replace", deletion=deletion, now_millis=NOW)  # type: ignore[arg-type]  # drawn
    actions, _ = planned(source, local, rules)
    refused = {action.name for action in actions if isinstance(action, Problem)}
    assert refused == {name for name in source if name.startswith("a/") and "a" in source} | {
        name for name in source if name.startswith("b/") and "b" in source
    }
    removed = {action.name for action in actions if isinstance(action, Remove)}
    assert removed == (set(local) - set(source) if deletion == "remove" else set())
    written = {action.source.name for action in actions if isinstance(action, Transfer)}
    assert not written & refused
    for name in set(source) - refused:
        unchanged = name in local and same(source[name], local[name], rules)
        assert (name in written) is not unchanged


def test_a_refused_name_is_not_taken_for_missing() -> None:
    """The destination's file under a refused name stays, also when the rest is removed."""
    actions, _ = planned(
        {"a": Entry("a"), "a/b": Entry("a/b")},
        {"a/b": Entry("a/b"), "x": Entry("x")},
        Rules("down", deletion="remove"),
    )
    assert [action.name for action in actions if isinstance(action, Remove)] == ["x"]
    assert [action.code for action in actions if isinstance(action, Problem)] == ["name_clash"]


def test_an_unsorted_listing_ends_the_sync() -> None:
    """Going on would take what comes late for missing, and remove it."""
    with pytest.raises(InternalError, match="after"):
        list(pairs(iter([Entry("b"), Entry("a")]), iter([])))
    with pytest.raises(InternalError, match="after"):
        list(pairs(iter([]), iter([Entry("a"), Entry("a")])))


def test_times_a_millisecond_apart_are_the_same() -> None:
    """b2sdk truncates a float, rclone an integer: their times can differ by one."""
    for ahead in (-1, 0, 1):
        source, destination = {"a": Entry("a", 1, NOW + ahead)}, {"a": Entry("a", 1, NOW)}
        assert planned(source, destination, Rules("up"))[0] == []


def history(*versions: tuple[str, int, bool]) -> dict[str, Entry]:
    """One name `a`: file id, age of the upload in days, whether a hide marker; newest first."""
    made = tuple(
        Version(name, NOW - days * DAY_MILLIS, is_hide) for name, days, is_hide in versions
    )
    return {"a": Entry("a", 1, 5, versions=made, is_visible=not made[0].is_hide)}


@pytest.mark.parametrize(
    ("versions", "removed"),
    [
        # Uploaded seconds apart, however old the files say they are.
        ([("new", 0, False), ("old", 0, False)], set()),
        # Uploaded long ago and replaced yesterday: it was visible until then.
        ([("new", 1, False), ("old", 900, False)], set()),
        ([("new", 31, False), ("old", 31, False)], {"old"}),
        ([("new", 31, False), ("same", 31, False), ("old", 40, False)], {"same", "old"}),
        ([("hide", 29, True), ("old", 900, False)], set()),
        ([("hide", 31, True), ("old", 900, False)], {"hide", "old"}),
        ([("new", 1, False), ("hide", 31, True), ("old", 900, False)], {"hide", "old"}),
        ([("new", 1, False), ("hide", 29, True), ("old", 900, False)], set()),
        # A clock went back between two uploads: nothing may come to light.
        ([("hide", 40, True), ("young", 1, False), ("old", 50, False)], {"old"}),
        ([("hide", 31, True)], {"hide"}),
    ],
)
@pytest.mark.parametrize("has_source", [False, True])
def test_what_keep_days_removes(
    versions: list[tuple[str, int, bool]], removed: set[str], has_source: bool
) -> None:
    rules = Rules("up", deletion="keep_days", keep_days=30, now_millis=NOW)
    source = {"a": Entry("a", 1, 5)} if has_source else {}
    actions = planned(source, history(*versions), rules)[0]
    found = [action for action in actions if isinstance(action, Remove)]
    if versions[1:] and versions[1][0] == "young":
        assert {action.file_id for action in found} <= removed, "or nothing at all"
    else:
        assert {action.file_id for action in found} == removed
    ids = [name for name, _, _ in versions]
    assert [action.file_id for action in found] == list(reversed(ids))[: len(found)]


@pytest.mark.parametrize("deletion", ["remove", "keep_days"])
def test_a_hide_marker_goes_behind_what_it_hides(deletion: str) -> None:
    """Removed beside it, it uncovers a version whose own removal is refused."""
    rules = Rules("up", deletion=deletion, keep_days=30, now_millis=NOW)  # type: ignore[arg-type]  # drawn
    actions = planned({}, history(("hide", 31, True), ("old", 900, False)), rules)[0]
    uncovers = {each.file_id: each.uncovers for each in actions if isinstance(each, Remove)}
    assert uncovers == {"old": False, "hide": True}
    alone = planned({}, history(("hide", 31, True)), rules)[0]
    assert [each.uncovers for each in alone if isinstance(each, Remove)] == [False]
