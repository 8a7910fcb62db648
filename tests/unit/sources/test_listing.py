"""Listings come in the order in which B2 sorts names, and nothing in a tree stops them."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2jobs.errors import JobError
from b2jobs.locations import InlineData, LocalPath, Location, RootPath
from b2jobs_worker.sources import open_source
from b2jobs_worker.sources.listing import list_root
from b2jobs_worker.sources.port import Entry, Problem
from b2jobs_worker.sources.tree import Links
from unit.sources.places import as_nobody, open_folder, served


class Listed:
    """What a listing gave and what it reported."""

    def __init__(
        self,
        folder: Path,
        path: str = "",
        symlinks: Links = "follow",
        after: str = "",
        enter: Callable[[str], bool] | None = None,
        location: Location | None = None,
    ) -> None:
        found: list[Problem] = []
        listing = list_root(
            location or RootPath(".my", path),
            served(folder),
            report=found.append,
            symlinks=symlinks,
            after=after,
            enter=enter,
        )
        self.entries = list(listing)
        self.names = [entry.name for entry in self.entries]
        self.problems = {problem.name: problem.code for problem in found}
        assert len(self.problems) == len(found)


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_the_order_is_that_of_whole_names(tmp_path: Path) -> None:
    names = [
        "a!",
        "a-b/x",
        "a.txt",
        "a/b",
        "a/b.c",
        "a/d/c",
        "a0",
        "ab",
        "é/x",
        "\uffee",
        "\U0001f600",
    ]
    fill(tmp_path, *names)
    listed = Listed(tmp_path)
    assert listed.names == sorted(names, key=str.encode)
    assert listed.names == names


def test_an_entry_is_what_opening_the_file_would_tell(tmp_path: Path) -> None:
    fill(tmp_path, "sub/a/b")
    os.utime(tmp_path / "sub/a/b", ns=(0, 1_600_000_000_123_456_789))
    (entry,) = Listed(tmp_path, "sub").entries
    assert Listed(tmp_path, "sub/").entries == [entry]
    assert Listed(tmp_path, location=LocalPath(f"{tmp_path}/sub")).entries == [entry]
    source = open_source(RootPath(".my", "sub/a/b"), served(tmp_path))
    assert entry == Entry("a/b", source.size or 0, 1_600_000_000_123, source.identity)
    source.close()


def test_part_files_are_not_listed(tmp_path: Path) -> None:
    fill(tmp_path, "new", ".new.job.b2jobs-part", "sub/.b2jobs-part", "x.b2jobs-part")
    assert Listed(tmp_path).names == ["new", "x.b2jobs-part"]
    assert Listed(tmp_path).problems == {}


def test_links_are_followed_inside_the_root_and_reported_beyond(tmp_path: Path) -> None:
    root = tmp_path / "root"
    fill(tmp_path, "secret/file")
    fill(root, "sub/file", "file", "listed/own")
    links = {
        "listed/near": "../file",
        "listed/folder": "../sub",
        "listed/absolute": str(root / "sub"),
        "listed/out": "../../secret/file",
        "listed/away": str(tmp_path / "secret"),
        "listed/nowhere": "missing",
        "listed/self": ".",
        "listed/circle": "circle",
        "sub/back": "../listed",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    listed = Listed(root, "listed")
    assert listed.names == ["absolute/file", "folder/file", "near", "own"]
    assert listed.problems == {
        "absolute/back/": "link_loop",
        "folder/back/": "link_loop",
        "self/": "link_loop",
        "out": "outside_root",
        "away/": "outside_root",
        "nowhere": "source_missing",
        "circle": "source_missing",
    }
    skipping = Listed(root, "listed", symlinks="skip")
    assert (skipping.names, skipping.problems) == (["own"], {})


def test_what_is_no_file_is_reported(tmp_path: Path) -> None:
    fill(tmp_path, "a", "z")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listed = Listed(tmp_path)
    assert listed.names == ["a", "z"]
    assert listed.problems == {"pipe": "source_not_a_file", "socket": "source_not_a_file"}


def test_names_that_are_not_utf8_are_reported(tmp_path: Path) -> None:
    fill(tmp_path, "a", "é")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/folder\xff")).mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/folder\xff/x")).touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9")).touch()
    listed = Listed(tmp_path)
    assert listed.names == ["a", "é"]
    assert listed.problems == {"folder\\xff": "name_not_utf8", "latin\\xe9": "name_not_utf8"}


def test_a_closed_folder_is_reported_and_the_rest_goes_on() -> None:
    with open_folder() as root:
        fill(root, "a/x", "b/x", "c/x")
        (root / "b").chmod(0)
        told = _as_nobody_lists(root)
        (root / "b").chmod(0o755)
    assert told.splitlines() == [
        "b/ source_unreadable",
        "['a/x', 'c/x']",
        "source_unreadable operator",
    ]


def _as_nobody_lists(root: Path) -> str:
    return as_nobody(
        root,
        "from b2jobs.locations import RootPath\n"
        "from b2jobs_worker.sources.listing import list_root\n"
        "def report(problem): print(problem.name, problem.code)\n"
        "def names(path):\n"
        "    found = list_root(RootPath('.my', path), settings, report=report)\n"
        "    return [entry.name for entry in found]\n"
        "attempt(lambda: names(''))\n"
        "attempt(lambda: names('b'))\n",
    )


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("none", "source_missing"),
        ("file", "source_not_a_directory"),
        ("file/", "source_not_a_directory"),
        ("..", "outside_root"),
        ("out", "outside_root"),
    ],
)
def test_a_place_that_cannot_be_listed_is_an_error_at_once(
    tmp_path: Path, path: str, code: str
) -> None:
    root = tmp_path / "root"
    fill(root, "file")
    (root / "out").symlink_to("..")
    with pytest.raises(JobError) as caught:
        list_root(RootPath(".my", path), served(root), report=print)
    assert caught.value.code == code


def test_an_unmounted_root_is_an_error_and_not_an_empty_tree(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        Listed(tmp_path / "none")
    assert (caught.value.code, caught.value.act) == ("root_missing", "operator")
    with pytest.raises(JobError) as caught:
        Listed(tmp_path, location=InlineData("", b""))
    assert caught.value.code == "listing_unsupported"


def test_what_vanishes_meanwhile_is_not_there(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b", "c/x", "d")
    found: list[Problem] = []
    listing = list_root(RootPath(".my", ""), served(tmp_path), report=found.append)
    assert next(listing).name == "a"
    (tmp_path / "b").unlink()
    shutil.rmtree(tmp_path / "c")
    assert ([entry.name for entry in listing], found) == (["d"], [])


def test_a_folder_exchanged_for_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    fill(root, "a", "b/x")
    fill(tmp_path, "secret/file")
    found: list[Problem] = []
    listing = list_root(RootPath(".my", ""), served(root), report=found.append)
    assert next(listing).name == "a"
    shutil.rmtree(root / "b")
    (root / "b").symlink_to("../secret")
    assert list(listing) == []
    assert [problem.name for problem in found] == ["b/"]


def test_folders_that_are_left_out_are_not_read(tmp_path: Path) -> None:
    fill(tmp_path, "a/x", "b/c/x", "b/d/x", "e")
    asked: list[str] = []

    def enter(name: str) -> bool:
        asked.append(name)
        return name != "b/c/"

    assert Listed(tmp_path, enter=enter).names == ["a/x", "b/d/x", "e"]
    assert asked == ["a/", "b/", "b/c/", "b/d/"]
    asked.clear()
    assert Listed(tmp_path, enter=enter, after="b/c/x").names == ["b/d/x", "e"]
    assert asked == ["b/", "b/c/", "b/d/"]


def test_leaving_a_listing_gives_back_its_descriptors(tmp_path: Path) -> None:
    fill(tmp_path, "a/b/c/x", "a/b/c/y")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        listing = list_root(RootPath(".my", ""), served(tmp_path), report=print)
        next(listing)
        listing.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


SEGMENTS = st.text(st.sampled_from("aé-.0~\uffee\U0001f600"), min_size=1, max_size=3)
NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


@given(names=st.sets(NAMES, max_size=25), after=st.one_of(st.just(""), NAMES), data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_tree_is_listed_in_byte_order_from_any_place_on(
    names: set[str], after: str, data: st.DataObject
) -> None:
    base = Path(tempfile.mkdtemp(prefix="b2jobs-"))
    try:
        kept: set[str] = set()
        for name in sorted(names):
            if {".", ".."} & set(name.split("/")) or any(
                name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in kept
            ):
                continue
            kept.add(name)
        fill(base, *kept)
        expected = sorted(kept, key=str.encode)
        if expected and data.draw(st.booleans()):
            after = data.draw(st.sampled_from(expected))
        listed = Listed(base, after=after)
        assert listed.problems == {}
        assert listed.names == [name for name in expected if name.encode() > after.encode()]
    finally:
        shutil.rmtree(base)
