"""A folder as a side of a sync: what could not be read has its place in the order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest

from b2jobs.errors import CallerError
from b2jobs.locations import parse
from b2jobs_worker.settings import Root, Settings
from b2jobs_worker.sources.port import Problem
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.folder import listed
from b2jobs_worker.sync.plan import Tally, pairs, plan
from b2jobs_worker.sync.rules import Rules


def found_in(
    folder: Path, *, path: str = "", symlinks: Literal["follow", "skip"] = "follow"
) -> tuple[list[Entry], list[Problem]]:
    """The entries of a folder, and the problems that have no place among them."""
    loose: list[Problem] = []
    entries = listed(
        parse(f"data://r/{path}"),
        Settings(roots={"r": Root(url=f"file://{folder}")}),
        symlinks=symlinks,
        after="",
        may_be_missing=False,
        loose=loose.append,
    )
    return list(entries), loose


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

    entries, loose = found_in(root)
    found = {entry.name: entry for entry in entries}

    assert [entry.name for entry in entries] == sorted(found)
    assert loose == []
    assert {name for name, entry in found.items() if not entry.problem} == {
        "real/file",
        "to_file",
        "to_folder/file",
    }
    assert {name.rstrip("/") for name, entry in found.items() if entry.problem} == {
        "away",
        "away_file",
        "broken",
        "real/loop",
        "to_folder/loop",
    }
    assert [e.name for e in found_in(root, symlinks="skip")[0]] == ["real/file"]


def test_names_that_are_no_text_are_reported(tmp_path: Path) -> None:
    (tmp_path / "ok").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")).touch()
    entries, loose = found_in(tmp_path)
    reported = [e.name for e in entries if e.problem] + [problem.name for problem in loose]
    assert [entry.name for entry in entries if not entry.problem] == ["ok"]
    assert reported == ["b\\xff"]


def test_a_place_that_is_missing_or_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CallerError, match="nothing"):
        found_in(tmp_path, path="nothing/")
    with pytest.raises(CallerError):
        found_in(tmp_path, path="file/")


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
