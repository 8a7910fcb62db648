"""The arithmetic of the emulator: names, ranges, pieces, spans, faults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2emulator.calls.downloads import _range
from b2emulator.calls.rules import lifecycle
from b2emulator.errors import B2Error
from b2emulator.faults.rules import Rule
from b2emulator.file_ids import LARGE, SMALL, make_file_id, number_of, order_of
from b2emulator.journal import covered
from b2emulator.names import (
    check_bucket_name,
    check_file_info,
    check_file_name,
    percent_decode,
    percent_encode,
    successor,
)
from b2emulator.store.bodies import Piece, cut

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(TEXT, TEXT)
def test_the_successor_is_above_all_that_starts_with_the_prefix(prefix: str, rest: str) -> None:
    above = successor(prefix)
    if above is None:
        assert all(char == chr(0x10FFFF) for char in prefix)
    else:
        assert (prefix + rest).encode() < above.encode()


@given(TEXT, TEXT)
def test_nothing_else_is_below_the_successor(prefix: str, other: str) -> None:
    above = successor(prefix)
    if above is not None and prefix.encode() <= other.encode() < above.encode():
        assert other.startswith(prefix)


@given(TEXT)
def test_percent_encoding_goes_both_ways(text: str) -> None:
    encoded = percent_encode(text)
    assert encoded.isascii()
    assert percent_decode(encoded) == text


@given(st.lists(st.integers(1, 20), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_a_cut_covers_just_what_was_asked(sizes: list[int], start: int, length: int) -> None:
    content = tuple(Piece(body, 100 * body, size) for body, size in enumerate(sizes))
    every = [(p.body, p.offset + i) for p in content for i in range(p.length)]
    found = [(p.body, p.offset + i) for p in cut(content, start, length) for i in range(p.length)]
    assert found == every[start : start + length]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda p: (min(p), max(p)))))
def test_covered_counts_each_position_once(spans: list[tuple[int, int]]) -> None:
    assert covered(spans) == len({i for start, end in spans for i in range(start, end)})


@given(
    st.text("0123456789abcdef", min_size=24, max_size=24),
    st.sampled_from([SMALL, LARGE]),
    st.integers(0, 16**15 - 1),
    st.integers(0, 4 * 10**12),
)
def test_file_ids_tell_their_number_and_order(
    bucket: str, kind: int, number: int, millis: int
) -> None:
    file_id = make_file_id(bucket, kind, number, millis)
    assert number_of(file_id) == number
    assert order_of(file_id) == (millis, number)
    assert file_id.startswith(f"4_z{bucket}_f{kind}")


@pytest.mark.parametrize("text", ["", "4_z", "nonsense", "4_z" + "0" * 24])
def test_what_is_no_file_id(text: str) -> None:
    assert number_of(text) is None
    assert order_of(text) is None


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, (None, 10)),
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=2-", 10, (2, 8)),
        ("bytes=-4", 10, (6, 4)),
        ("bytes=-40", 10, (0, 10)),
        ("bytes=5-99", 10, (5, 5)),
        ("bytes=5-4", 10, (None, 10)),
        ("bytes=-", 10, (None, 10)),
        ("items=1-2", 10, (None, 10)),
        ("bytes=1-2,4-5", 10, (None, 10)),
    ],
)
def test_ranges(header: str | None, size: int, expected: tuple[int | None, int]) -> None:
    assert _range(header, size) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_ranges_outside(header: str, size: int) -> None:
    with pytest.raises(B2Error) as refused:
        _range(header, size)
    assert refused.value.status == 416


@pytest.mark.parametrize("name", ["a", "a/b", "/a/", "a//b", "ü", "x" * 1024, "a\\b", ".."])
def test_names_b2_takes(name: str) -> None:
    assert check_file_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 1025, "ü" * 513, "a\x1f", "a\x7f", "\n"])
def test_names_b2_refuses(name: str) -> None:
    with pytest.raises(B2Error, match="File names"):
        check_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "short",
        "x" * 64,
        "under_score",
        "b2-mine",
        "B2-mine",
        "X Y-bucket",
        "straße",
        "a" * 6 + "\n",
    ],
)
def test_bucket_names_b2_refuses(name: str) -> None:
    with pytest.raises(B2Error):
        check_bucket_name(name)


@pytest.mark.parametrize("name", ["Upper-case", "abcdef", "0" * 63, "-dash-"])
def test_bucket_names_b2_takes(name: str) -> None:
    assert check_bucket_name(name) == name


def test_file_info_limits() -> None:
    assert check_file_info({"Key": "v"}, "n", strict=False) == {"key": "v"}
    ten = {f"k{number}": "" for number in range(10)}
    check_file_info(ten, "n", strict=False)
    for wrong in ({**ten, "one-more": ""}, {"b2-own": ""}, {"k" * 51: ""}, {"a b": ""}, {"k": 1}):
        with pytest.raises(B2Error):
            check_file_info(wrong, "n", strict=False)
    check_file_info({"k": "v" * 6000}, "n", strict=False)
    with pytest.raises(B2Error, match="2048"):
        check_file_info({"k": "v" * 6000}, "n", strict=True)


def test_lifecycle_prefixes_do_not_overlap() -> None:
    def rules(*prefixes: str) -> list[dict[str, object]]:
        return [{"fileNamePrefix": p, "daysFromHidingToDeleting": 1} for p in prefixes]

    assert len(lifecycle(rules("a/", "b/", "c"))) == 3
    for overlapping in (("a", "a/b"), ("", "a"), ("a", "a")):
        with pytest.raises(B2Error, match="overlap"):
            lifecycle(rules(*overlapping))
    with pytest.raises(B2Error):
        lifecycle(rules(*(f"{number:03d}" for number in range(101))))


@given(st.integers(1, 5), st.integers(0, 5))
def test_every_nth_after_the_skipped_ones(every: int, skip: int) -> None:
    rule = Rule("latency", every=every, skip=skip)
    struck = [number for number in range(1, 30) if rule.strikes(0.0)]
    assert struck == [n for n in range(1, 30) if n > skip and (n - skip) % every == 0]


@given(st.integers(0, 5), st.floats(0, 1), st.lists(st.floats(0, 0.999), max_size=30))
def test_probability_and_next_together(most: int, chance: float, draws: list[float]) -> None:
    rule = Rule("latency", next=most, probability=chance)
    assert sum(rule.strikes(draw) for draw in draws) == min(
        most, sum(draw < chance for draw in draws)
    )
