"""A folder as a side of a sync: in B2's order, without leaving the root."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2jobs.errors import CallerError
from b2jobs_worker.sources.roots import FolderRoot, LocalPlace
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.folder import listed
from b2jobs_worker.sync.plan import Tally, pairs, plan
from b2jobs_worker.sync.rules import Rules


def place(folder: Path, path: str = "") -> LocalPlace:
    return LocalPlace(FolderRoot("r", str(folder), True), path, f"data://r/{path}")


def names(folder: Path, **options: object) -> list[str]:
    return [entry.name for entry in listed(place(folder), **options)]  # type: ignore[arg-type]  # passed on


PARTS = st.text("ab.!0é\U0001f600", min_size=1, max_size=3).filter(lambda p: p not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@settings(max_examples=60, deadline=None)
@given(st.sets(PATHS, max_size=25), PATHS)
def test_names_come_in_the_order_of_their_bytes_and_from_any_place_on(
    paths: set[str], after: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in paths:
            target = folder / path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
            except OSError:
                continue  # a file here and a folder there
        there = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
        expected = sorted(there, key=str.encode)
        assert names(folder) == expected
        assert names(folder, after=after) == [
            each for each in expected if each.encode() > after.encode()
        ]


def test_an_entry_has_size_time_and_identity(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    os.utime(file, ns=(0, 1_700_000_000_123_999_999))
    [entry] = listed(place(tmp_path))
    assert entry == Entry("a", 5, 1_700_000_000_123, identity=entry.identity)
    os.utime(file, ns=(0, 1_700_000_000_124_000_000))
    assert [e.identity for e in listed(place(tmp_path))] != [entry.identity]


def test_links_inside_the_root_are_followed_and_others_reported(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").touch()
    (root / "real" / "file").write_bytes(b"x")
    (root / "to_file").symlink_to("real/file")
    (root / "to_folder").symlink_to("real")
    (root / "away").symlink_to(outside)
    (root / "away_file").symlink_to(outside / "secret")
    (root / "broken").symlink_to("nothing")
    (root / "real" / "loop").symlink_to("..")
    os.mkfifo(root / "pipe")

    found = {entry.name: entry for entry in listed(place(root))}

    assert {name for name, entry in found.items() if not entry.problem} == {
        "real/file",
        "to_file",
        "to_folder/file",
    }
    assert {name for name, entry in found.items() if entry.problem} == {
        "away",
        "away_file",
        "broken",
        "real/loop/",
        "to_folder/loop/",
    }
    assert [e.name for e in listed(place(root), symlinks="skip")] == ["real/file"]


def test_names_that_are_no_text_are_reported(tmp_path: Path) -> None:
    (tmp_path / "ok").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")).touch()
    found = {entry.name: entry.problem for entry in listed(place(tmp_path))}
    assert found == {"ok": "", "b\udcff": "its name is not valid UTF-8"}


def test_part_files_take_no_part(tmp_path: Path) -> None:
    (tmp_path / ".x.job-1.b2jobs-part").touch()
    (tmp_path / ".x").touch()
    assert names(tmp_path) == [".x"]


def test_a_place_that_is_missing_or_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CallerError, match="nothing"):
        list(listed(place(tmp_path, "nothing/")))
    with pytest.raises(CallerError):
        list(listed(place(tmp_path, "file/")))


def test_what_lies_below_a_folder_that_may_not_be_read_is_not_taken_for_missing() -> None:
    """An unreadable folder must not empty its copy in the bucket."""
    source = [Entry("a/", problem="the folder may not be read"), Entry("b")]
    bucket = [Entry("a/x"), Entry("a/y"), Entry("a0"), Entry("b")]
    actions = list(
        plan(
            pairs(iter(source), iter(bucket)),
            Rules("down", deletion="remove"),
            lambda name: None,
            Tally(),
        )
    )
    assert [(type(action).__name__, getattr(action, "name", "")) for action in actions] == [
        ("Problem", "a/"),
        ("Remove", "a0"),
    ]
