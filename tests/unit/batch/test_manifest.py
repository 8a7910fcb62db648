"""Manifests: what a line says, and what is wrong with it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from b2jobs.duplicates import DuplicateFinder
from b2jobs.errors import InvalidJob
from b2jobs.items import Item, Refusal, unpacked
from b2jobs.ledger import packed_rows, rows_of
from b2jobs.manifest import (
    MOST_LINE_BYTES,
    Line,
    Reader,
    decompressed,
    lines,
    row,
)
from b2jobs.patterns import chosen, silenced

UP = ("data://root/a", "b2://some-bucket/a")


def read(text: str) -> list[Item | Refusal]:
    found = lines(io.BytesIO(text.encode()), "list.csv")
    return [each for each in Reader().rows(found) if each is not None]


def test_csv_with_and_without_a_header() -> None:
    (plain,) = read("data://root/a,b2://some-bucket/a,12\n")
    (named,) = read("size,destination,source\n12,b2://some-bucket/a,data://root/a\n")
    assert plain == Item("upload", *UP, 12, line=1)
    assert named == Item("upload", *UP, 12, line=2)


def test_json_lines_and_options() -> None:
    (row,) = read(
        '\ufeff{"source": "data://root/a", "destination": "b2://some-bucket/x/", "size": 3, '
        '"sha1": "%s", "info": {"k": "v"}, "content_type": "text/plain"}\n' % ("AB" * 20)
    )
    assert isinstance(row, Item)
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
        ("b2://some-bucket/x/..,data://root/in/", "invalid_location"),
        ("data://root/x/..,b2://some-bucket/in/", "invalid_location"),
        (f"data://root/a,b2://some-bucket/a,{10**14}", "line_broken"),
        ('{"source": 1}', "line_broken"),
        ("{" + "[" * 150_000, "line_broken"),
        (
            '{"source": "data://root/a", "destination": "b2://some-bucket/a", "size": 1e999}',
            "line_broken",
        ),
        ('{"source": "data://root/\\ud800", "destination": "b2://some-bucket/a"}', "line_broken"),
        ('{"source": "data://root/a", "destination": "b2://some-bucket/a", "x": 1}', "line_broken"),
    ],
)
def test_what_is_wrong_is_said_by_line(line: str, code: str) -> None:
    prefix = "" if line.startswith("{") else "source,destination,size,sha1,content_type,info\n"
    (bad,) = read(prefix + line)
    assert isinstance(bad, Refusal)
    assert (bad.code, bad.line) == (code, 1 if not prefix else 2)
    assert unpacked(bad.packed()) == bad


@given(st.binary(max_size=200))
@example(b"a\rb,c")
def test_any_bytes_give_a_row_or_a_bad_line(raw: bytes) -> None:
    for found in Reader().rows(lines(io.BytesIO(raw), "list.csv")):
        assert found is None or isinstance(found, Item | Refusal)


def test_an_endless_line_is_a_bad_line_and_costs_no_memory() -> None:
    # 778 KB of gzip became 1.65 GB in one string: the limit was looked at afterwards.
    most = 0

    class Endless(io.RawIOBase):
        left = 100

        def readable(self) -> bool:
            return True

        def readline(self, size: int | None = -1, /) -> bytes:
            nonlocal most
            assert size is not None
            most = max(most, size)
            self.left -= 1
            return b"x" * size if self.left > 0 else b"\n" if self.left == 0 else b""

    (line,) = lines(Endless(), "list.csv")  # type: ignore[arg-type]
    assert line.size == 99 * (MOST_LINE_BYTES + 1) + 1
    assert len(line.raw) == most == MOST_LINE_BYTES + 1
    bad = Reader().read(line.raw, 1)
    assert isinstance(bad, Refusal)
    assert bad.code == "line_too_long"


def test_lines_behind_an_endless_one_keep_their_numbers() -> None:
    text = b"a" * (3 * MOST_LINE_BYTES) + b"\nb\nc"
    found = list(lines(io.BytesIO(text), "list.csv"))
    assert [line.number for line in found] == [1, 2, 3]
    assert sum(line.size for line in found) == len(text)
    assert list(lines(io.BytesIO(text), "x", 2, behind=found[0].size)) == found[1:]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.csv.gz", gzip.compress(b"one\n" * 1000, mtime=0)[:-9]),
        ("cut.CSV.GZ", gzip.compress(b"one\n" * 1000, mtime=0)[:20]),
        ("none.gz", b"source,destination\n"),
        ("broken.gz", gzip.compress(b"one\n", mtime=0)[:12] + b"\xff" * 20),
        ("cut.bz2", bz2.compress(b"one\n" * 1000)[:-5]),
        ("none.bz2", b"source,destination\n"),
        ("cut.xz", lzma.compress(b"one\n" * 1000)[:-5]),
        ("none.XZ", b"source,destination\n"),
    ],
)
def test_what_is_not_compressed_as_its_name_says_is_unreadable(name: str, content: bytes) -> None:
    with pytest.raises(InvalidJob) as refused:
        list(lines(decompressed(io.BytesIO(content), name), name))
    assert refused.value.code == "manifest_unreadable"


@pytest.mark.parametrize("fields", [None, (), ["data://r/a"], "text", 7, {1: 2}, {}])
def test_what_is_no_mapping_is_a_bad_line(fields: object) -> None:
    bad = row(5, fields)
    assert isinstance(bad, Refusal)
    assert (bad.line, bad.code) == (5, "line_broken")


SCRIPT = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@given(
    st.fixed_dictionaries(
        {"source": st.just(UP[0]) | st.text(), "destination": st.just(UP[1]) | st.text()},
        optional=dict.fromkeys(("size", "sha1", "content_type", "info", "if_exists"), SCRIPT),
    )
)
def test_any_fields_give_something_that_can_be_stored(fields: dict[str, object]) -> None:
    found = row(1, fields)
    assert unpacked(rows_of(packed_rows([found.packed()]))[0]) == found


def test_compressed_manifests_read_as_plain_ones() -> None:
    packed = io.BytesIO(gzip.compress(b"one\ntwo\n"))
    assert list(lines(decompressed(packed, "x.csv.GZ"), "x.csv.GZ")) == [
        Line(1, b"one\n", 4),
        Line(2, b"two\n", 4),
    ]


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


@pytest.mark.parametrize(
    ("include", "exclude", "yes", "no"),
    [
        ([], ["*.tmp"], ["a.tmp", "x/b.tmp"], ["a", "x.tmp/", "x/"]),
        ([], ["x/"], ["x/", "y/x/", "x/y/", "x/a"], ["y/", "a"]),
        ([], ["x/**"], ["x/", "x/y/"], ["y/x/"]),
        ([], ["x/*"], ["x/a"], ["x/", "x/y/"]),
        ([], ["*"], ["a", "x/"], []),
        (["*.png"], [], ["a.txt"], ["a.png", "x/"]),
        (["*.png"], ["a.*"], ["a.png", "b.txt"], ["b.png", "x/"]),
        ([], ["re:x/"], ["x/", "x/a"], ["y/x/"]),
        ([], ["/x"], ["x/", "x"], ["y/x/", "x/a", "x/y/"]),
    ],
)
def test_what_cannot_be_read_is_silenced_only_where_nothing_of_it_takes_part(
    include: list[str], exclude: list[str], yes: list[str], no: list[str]
) -> None:
    is_silenced = silenced(include, exclude)
    assert [path for path in yes + no if is_silenced(path)] == yes
