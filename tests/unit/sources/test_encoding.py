"""Names written another way: what goes up comes down as it was, and the other way round."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as some

from b2jobs import locations
from b2jobs.locations import LocalPath, RootPath
from b2jobs_worker.sources.encoding import (
    FOREIGN,
    QUOTE,
    decoded,
    encoded,
    part_to_b2,
    to_b2,
    to_local,
)
from b2jobs_worker.sources.names import LocalNames

TRICKY = [
    QUOTE,
    "=",
    "/",
    ".",
    "\n",
    "\x1f",
    "\x7f",
    "␊",
    "␡",
    "␀",
    "8",
    "F",
    "A",
    "a",
    "é",
    "\udcff",
    "\udcc3",
]
LOCAL_PART = (
    some.one_of(
        some.binary(min_size=1, max_size=12),
        some.lists(some.sampled_from(TRICKY), min_size=1, max_size=9).map(
            lambda parts: "".join(parts).encode("utf-8", "surrogateescape")
        ),
        some.sampled_from([b"a", b"\xff", QUOTE.encode(), b"\n", b"ab\x01"]).map(lambda b: b * 90),
    )
    .map(lambda raw: os.fsdecode(raw.replace(b"/", b"").replace(b"\0", b"")[:255]))
    .filter(lambda part: part not in ("", ".", ".."))
)
LOCAL = some.lists(LOCAL_PART, min_size=1, max_size=4).map("/".join)
STORED = some.one_of(
    some.text(some.characters(exclude_categories=["Cs"]), max_size=20),
    some.lists(some.sampled_from([each for each in TRICKY if ord(each) < 0xD800]), max_size=12).map(
        "".join
    ),
    some.lists(some.sampled_from(["", ".", "..", "a", f"a{QUOTE}", FOREIGN, "␊"]), max_size=5).map(
        "/".join
    ),
).map(lambda name: name.replace("\0", ""))


def normal(path: str) -> str:
    return os.fsdecode(os.fsencode(path))


@given(LOCAL)
def test_what_goes_up_comes_down_as_it_was(path: str) -> None:
    name = to_b2(path)
    assert to_local(name) == normal(path)
    name.encode()  # it is text
    assert not [char for char in name if ord(char) < 32 or ord(char) == 127]
    for part in name.split("/"):
        assert len(part.encode()) <= 250 or FOREIGN in path


@given(STORED)
def test_what_comes_down_goes_up_as_it_was(name: str) -> None:
    # B2 takes no control characters, whatever tool brings them.
    name = "".join(char for char in name if ord(char) >= 32 and ord(char) != 127)
    path = to_local(name)
    taken = "/".join(part or f"{QUOTE}{QUOTE}=" for part in name.split("/"))
    assert to_b2(path) == taken
    assert to_local(taken) == path
    assert not {"", ".", ".."} & set(path.split("/"))
    assert "\0" not in path


@given(LOCAL, LOCAL)
def test_no_two_paths_have_one_name(one: str, other: str) -> None:
    assert (to_b2(one) == to_b2(other)) == (normal(one) == normal(other))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("plain/name.txt", "plain/name.txt"),
        ("naïve ü/日本", "naïve ü/日本"),
        ("a\nb", "a␊b"),
        ("a␊b", f"a{QUOTE}␊b"),
        ("a\x7f", "a␡"),
        ("\udcff", f"{QUOTE}FF"),
        (QUOTE, QUOTE * 2),
        (f"{FOREIGN}../x", "../x"),
        (f"a/{FOREIGN}/b", f"a/{QUOTE}{FOREIGN}/b"),
        ("x" * 255, "x" * 247 + f"{QUOTE}/" + "x" * 8),
        ("100%.txt", "100%.txt"),
    ],
)
def test_how_they_look(path: str, name: str) -> None:
    assert to_b2(path) == name
    assert to_local(name) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [("a//b", f"a/{FOREIGN}/b"), ("/a", f"{FOREIGN}/a"), ("a/", f"a/{FOREIGN}")],
)
def test_an_empty_part_comes_down_as_one_that_is_written(name: str, path: str) -> None:
    assert to_local(name) == path
    names = LocalNames(decodes=True)
    other = to_b2(path)
    judged = [names.judge(each) for each in sorted([name, other])]
    assert [each and each.code for each in judged] == [None, "name_clash"]


def test_two_bytes_that_are_a_character_together_are_it() -> None:
    both = f"{QUOTE}C3{QUOTE}A9"
    assert to_local(both) == FOREIGN + both
    assert part_to_b2("é") == "é"


@pytest.mark.parametrize("folder", ["data://r/", "data://r/a\nb/", "file:///srv/x/", "file:///"])
def test_a_folder_is_written_so_that_it_is_meant(folder: str) -> None:
    location = locations.parse(folder)
    assert isinstance(location, RootPath | LocalPath)
    found = decoded(locations.parse(encoded(location) + "a␊b"))
    assert isinstance(found, RootPath | LocalPath)
    assert found.path == location.path + "a\nb"
    assert str(found) == encoded(location) + "a␊b"
