"""Names a folder cannot hold, patterns, and the memory of digests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs.patterns import chosen
from b2jobs_worker.sources.names import LocalNames, b2_problem
from b2jobs_worker.sync.digests import DigestCache, with_digests
from b2jobs_worker.sync.entries import Entry


@pytest.mark.parametrize(
    "name",
    ["", "../x", "a/../b", "a/..", "..", ".", "./a", "a/./b", "a//b", "/a", "a/", "a\0b"],
)
def test_unsafe_names_are_refused(name: str) -> None:
    refused = LocalNames().judge(name)
    assert refused is not None
    assert refused.code == "name_unsafe"


@pytest.mark.parametrize(
    "name",
    ["x" * 256, "ä" * 128, "a/" + "x" * 300, "\ud800"],
)
def test_too_long_and_undecodable_names_are_refused(name: str) -> None:
    refused = LocalNames().judge(name)
    assert refused is not None
    assert refused.code == "name_unsafe"


@pytest.mark.parametrize(
    "name", ["a", ".hidden", "a/.b", "..a", "a..", "a b", "ä/ö", "a\\..\\b", "-"]
)
def test_odd_but_harmless_names_pass(name: str) -> None:
    assert LocalNames().judge(name) is None


@given(st.lists(st.text("ab./-!", min_size=1, max_size=6), unique=True))
def test_a_name_clashes_exactly_when_a_file_stands_above_it(names: list[str]) -> None:
    judge = LocalNames()
    kept: list[str] = []
    for name in sorted(names):
        refused = judge.judge(name)
        above = any(name.startswith(other + "/") for other in kept)
        assert above == (refused is not None and refused.code == "name_clash")
        if refused is None:
            kept.append(name)


def test_names_that_differ_in_case_clash_only_where_the_folder_folds_case() -> None:
    names = ["A.txt", "E\u0301", "a.txt", "b", "\u00e9"]
    assert [LocalNames().judge(name) for name in names] == [None] * 5
    folding = LocalNames(folds_case=True)
    refused = [folding.judge(name) for name in names]
    assert [r.code if r else None for r in refused] == [
        None,
        None,
        "name_clash",
        None,
        "name_clash",
    ]


def test_names_b2_refuses() -> None:
    assert b2_problem("photos/a.png") is None
    for name in ("a\nb", "x" * 1025, "a//b", "\udcff"):
        refused = b2_problem(name)
        assert refused is not None
        assert refused.code == "name_refused"


def test_regular_expressions_match_from_the_beginning_as_b2_sync_has_them() -> None:
    is_chosen = chosen([], ["re:a", "re:.*\\.jpe?g$"])
    assert [n for n in ("a", "abc", "x/b.jpeg", "ba", "b.jpg.txt") if is_chosen(n)] == [
        "ba",
        "b.jpg.txt",
    ]
    with pytest.raises(ValueError, match="broken"):
        chosen(["re:("], [])


def test_digests_are_remembered_by_identity(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "digests.sqlite"
    cache = DigestCache(path)
    cache.put("/x", "1-2-3", "ab" * 20)
    cache.close()
    cache = DigestCache(path)
    assert cache.get("/x", "1-2-3") == "ab" * 20
    assert cache.get("/x", "1-2-4") is None
    cache.put("/x", "1-2-4", "cd" * 20)
    assert cache.get("/x", "1-2-3") is None
    assert cache.get("/y", "1-2-3") is None


def test_a_broken_cache_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "digests.sqlite"
    path.write_bytes(b"not a database" * 100)
    cache = DigestCache(path)
    cache.put("/x", "1", "ab" * 20)
    assert cache.get("/x", "1") == "ab" * 20


def test_only_files_that_need_it_are_read_and_order_is_kept() -> None:
    known, unknown = "1" * 40, None
    given_pairs = [
        (Entry(f"{i:03}", 5, sha1=unknown), Entry(f"{i:03}", 5 if i % 3 else 6, sha1=known))
        for i in range(200)
    ]
    given_pairs.insert(7, (Entry("006a"), None))  # type: ignore[arg-type]  # one side only
    read: list[str] = []

    def digest(entry: Entry) -> str:
        read.append(entry.name)
        return "2" * 40

    found = list(with_digests(iter(given_pairs), digest))
    assert [pair[0].name for pair in found if pair[0]] == [pair[0].name for pair in given_pairs]
    assert sorted(read) == [f"{i:03}" for i in range(200) if i % 3]
