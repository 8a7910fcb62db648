"""Manifests: what a line says, and what is wrong with it."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from b2jobs.duplicates import DuplicateFinder
from b2jobs.manifest import BadLine, Reader, Row, decompressed, row_of
from b2jobs.patterns import chosen

UP = ("data://root/a", "b2://some-bucket/a")


def read(text: str) -> list[Row | BadLine]:
    lines = text.encode().splitlines(keepends=True)
    return [row for row in Reader().rows(lines) if row is not None]


def test_csv_with_and_without_a_header() -> None:
    (plain,) = read("data://root/a,b2://some-bucket/a,12\n")
    (named,) = read("size,destination,source\n12,b2://some-bucket/a,data://root/a\n")
    assert plain == Row(1, "upload", *UP, 12)
    assert named == Row(2, "upload", *UP, 12)


def test_json_lines_and_options() -> None:
    (row,) = read(
        '\ufeff{"source": "data://root/a", "destination": "b2://some-bucket/x/", "size": 3, '
        '"sha1": "%s", "info": {"k": "v"}, "content_type": "text/plain"}\n' % ("AB" * 20)
    )
    assert isinstance(row, Row)
    assert row.destination == "b2://some-bucket/x/a"
    assert row.sha1 == "ab" * 20
    assert row.options == {"content_type": "text/plain", "info": {"k": "v"}}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("only-one-cell", "line_broken"),
        ("data://root/a,b2://some-bucket/a,twelve", "line_broken"),
        ("data://root/a,b2://some-bucket/a,-1", "line_broken"),
        ("data://root/a,b2://some-bucket/a,1,abc", "line_broken"),
        ("data://root/a,b2://some-bucket//a", "name_refused"),
        ("data://root/a,b2://b/a", "bucket_name_refused"),
        ("data://root/a,data://root/b", "invalid_location"),
        ("data://root/,b2://some-bucket/a", "invalid_location"),
        ("ftp://x/a,b2://some-bucket/a", "invalid_location"),
        ('data://root/a,b2://some-bucket/a,,,,"{""b2-x"": ""1""}"', "invalid_request"),
        ('data://root/a,"b2://some-bucket/a', "line_broken"),
        ('{"source": 1}', "line_broken"),
        ('{"source": "data://root/a", "destination": "b2://some-bucket/a", "x": 1}', "line_broken"),
    ],
)
def test_what_is_wrong_is_said_by_line(line: str, code: str) -> None:
    prefix = "" if line.startswith("{") else "source,destination,size,sha1,content_type,info\n"
    (bad,) = read(prefix + line)
    assert isinstance(bad, BadLine)
    assert (bad.code, bad.line) == (code, 1 if not prefix else 2)
    assert row_of(bad.packed()) == bad


@given(st.binary(max_size=200))
@example(b"a\rb,c")
def test_any_bytes_give_a_row_or_a_bad_line(raw: bytes) -> None:
    for row in Reader().rows(raw.split(b"\n")):
        assert row is None or isinstance(row, Row | BadLine)


def test_compressed_manifests_read_as_plain_ones() -> None:
    packed = io.BytesIO(gzip.compress(b"one\ntwo\n"))
    assert list(decompressed(packed, "x.csv.gz")) == [b"one\n", b"two\n"]


@given(st.lists(st.integers(0, 60).map(str), max_size=200))
def test_duplicates_are_all_but_the_first(values: list[str]) -> None:
    seen: set[str] = set()
    expected = []
    with DuplicateFinder() as finder:
        for number, value in enumerate(values, 1):
            finder.add(number, value)
            if value in seen:
                expected.append(number)
            seen.add(value)
        assert finder.repeats() == expected


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.png", ["a.png", "x/y/a.png"], ["a.jpg", "a.png/x"]),
        ("x/*.png", ["x/a.png"], ["a.png", "x/y/a.png", "z/x/a.png"]),
        ("x/**", ["x/a", "x/y/a"], ["a", "z/x/a"]),
        ("**/a", ["a", "x/a", "x/y/a"], ["ba", "x/ab"]),
        ("tmp/", ["tmp/a", "x/tmp/b/c"], ["tmp", "x/tmpa/b"]),
        ("a?c", ["abc", "x/abc"], ["ac", "a/c"]),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    wanted = chosen([pattern], [])
    assert [path for path in yes + no if wanted(path)] == yes
    unwanted = chosen([], [pattern])
    assert [path for path in yes + no if unwanted(path)] == no
