"""A folder as a side of a sync: what could not be read has its place in the order."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from b2jobs.errors import CallerError
from b2jobs.locations import parse
from b2jobs_worker.settings import Root, Settings
from b2jobs_worker.sources.local import file_identity
from b2jobs_worker.sources.port import Problem
from b2jobs_worker.sources.tree import Links
from b2jobs_worker.sync import decide
from b2jobs_worker.sync.decide import Hide
from b2jobs_worker.sync.entries import Entry, Trouble
from b2jobs_worker.sync.folder import listed
from b2jobs_worker.sync.plan import Tally, pairs, plan
from b2jobs_worker.sync.rules import Rules


def found_in(
    folder: Path, *, path: str = "", symlinks: Links = "follow", after: str = ""
) -> tuple[list[Entry], list[Problem]]:
    """The entries of a folder, and the problems that have no place among them."""
    loose: list[Problem] = []
    entries = listed(
        parse(f"data://r/{path}"),
        Settings(roots={"r": Root(url=f"file://{folder}")}),
        symlinks=symlinks,
        after=after,
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
    assert {name for name, entry in found.items() if not entry.trouble} == {
        "real/file",
        "to_file",
        "to_folder/file",
    }
    assert {name.rstrip("/") for name, entry in found.items() if entry.trouble} == {
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
    reported = [e.name for e in entries if e.trouble] + [problem.name for problem in loose]
    assert [entry.name for entry in entries if not entry.trouble] == ["ok"]
    assert reported == ["b\\xff"]


def test_a_place_that_is_missing_or_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CallerError, match="nothing"):
        found_in(tmp_path, path="nothing/")
    with pytest.raises(CallerError):
        found_in(tmp_path, path="file/")


def test_what_lies_below_a_folder_that_may_not_be_read_is_not_taken_for_missing() -> None:
    """An unreadable folder must not empty its copy in the bucket."""
    source = [Entry("a/", trouble=Trouble("the folder may not be read")), Entry("b")]
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


UNREADABLE = {
    "broken": lambda path: path.symlink_to("nothing"),
    "circular": lambda path: path.symlink_to(path.name),
    "out of the root": lambda path: path.symlink_to("/"),
    "to a file that is no folder": lambda path: path.symlink_to("b/below"),
    "a loop": lambda path: path.symlink_to("."),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("after", ["", "media", "media-1", "media/1"])
def test_what_may_be_behind_a_link_that_leads_nowhere_is_not_taken_for_missing(
    tmp_path: Path, kind: str, after: str
) -> None:
    """`media` led to a disk that is not mounted; everything below media/ was removed in B2.

    The same must hold where a long plan is taken up again behind a name.
    """
    (tmp_path / "b").touch()
    UNREADABLE[kind](tmp_path / "media")
    bucket = ["b", "c", "media-1", "media/1", "media/2/3", "media0", "z"]
    source = found_in(tmp_path, after=after)[0]
    destination = [Entry(name) for name in bucket if name > after]
    actions = list(
        plan(
            pairs(iter(source), iter(destination)),
            Rules("up", deletion="hide"),
            lambda name: None,
            Tally(),
        )
    )
    hidden = [action.name for action in actions if isinstance(action, Hide)]
    assert hidden == [name for name in ("c", "media-1", "media0", "z") if name > after]
    assert [a.name.rstrip("/") for a in actions if isinstance(a, decide.Problem)] == ["media"]


def test_an_excluded_trouble_is_not_reported_and_still_protects() -> None:
    trouble = Trouble("a link to nothing", is_excluded=True)
    tally = Tally()
    actions = list(
        plan(
            pairs(
                iter([Entry("media", trouble=trouble)]),
                iter([Entry("media"), Entry("media.txt"), Entry("media/1")]),
            ),
            Rules("up", deletion="hide"),
            lambda name: None,
            tally,
        )
    )
    assert actions == [Hide("media.txt")]
    assert tally.problems == tally.sources == 0


@pytest.mark.parametrize("is_excluded", [False, True])
def test_nothing_is_transferred_below_a_link_of_the_destination(is_excluded: bool) -> None:
    trouble = Trouble("a link to a folder", is_excluded=is_excluded)
    actions = list(
        plan(
            pairs(
                iter([Entry("album/1"), Entry("album/2"), Entry("b")]),
                iter([Entry("album/", trouble=trouble), Entry("c")]),
            ),
            Rules("down", deletion="remove"),
            lambda name: None,
            Tally(),
        )
    )
    reported = [a.name for a in actions if isinstance(a, decide.Problem)]
    assert reported == (["album/1", "album/2"] if is_excluded else ["album/"])
    assert [a.source.name for a in actions if isinstance(a, decide.Transfer)] == ["b"]
    assert [a.name for a in actions if isinstance(a, decide.Remove)] == ["c"]


def test_a_destination_is_listed_without_going_through_links(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1").write_bytes(b"123")
    (tmp_path / "album").symlink_to("photos")
    (tmp_path / "file").symlink_to("photos/1")
    entries, loose = found_in(tmp_path, symlinks="report")
    assert [(e.name, e.size, bool(e.trouble)) for e in entries] == [
        ("album/", 0, True),
        ("file", 3, False),
        ("photos/1", 3, False),
    ]
    own = (tmp_path / "file").lstat()
    assert entries[1].identity == file_identity(own), "what would be replaced is the link"
    assert loose == []
    with pytest.raises(CallerError):
        found_in(tmp_path, path="album/", symlinks="report")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES])
@pytest.mark.parametrize("moment", ["opened", "read", "half read"])
def test_a_folder_that_fails_hides_nothing_from_the_destination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    """A dead network disk, a bad sector: what is below is there, and nobody can see it."""
    (tmp_path / "media").mkdir()
    for name in ("media/1", "media/2", "a", "z"):
        (tmp_path / name).touch()
    inode = (tmp_path / "media").stat().st_ino
    real_open, real_scandir = os.open, os.scandir

    def failing_open(path: Any, *given: Any, **more: Any) -> int:
        if moment == "opened" and path == "media":
            raise OSError(number, os.strerror(number))
        return real_open(path, *given, **more)

    @contextmanager
    def failing_scandir(descriptor: int) -> Iterator[Any]:
        with real_scandir(descriptor) as found_here:
            yield half(found_here) if os.fstat(descriptor).st_ino == inode else found_here

    def half(found_here: Any) -> Iterator[Any]:
        if moment == "half read":
            yield next(found_here)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", failing_open)
    if moment != "opened":
        monkeypatch.setattr(os, "scandir", failing_scandir)
    source = found_in(tmp_path)[0]
    monkeypatch.undo()
    bucket = ["a", "b", "media/1", "media/3", "media/4/5", "z"]
    actions = list(
        plan(
            pairs(iter(source), iter([Entry(name) for name in bucket])),
            Rules("up", compare="none", deletion="hide"),
            lambda name: None,
            Tally(),
        )
    )
    assert [(type(each).__name__, getattr(each, "name", "")) for each in actions] == [
        ("Hide", "b"),
        ("Problem", "media/"),
    ]
