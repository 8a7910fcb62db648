"""Cutting a file into parts that B2 takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs.errors import CallerError
from b2jobs_worker.transfer import parts

LEAST = 5_000_000
sizes = st.integers(min_value=1, max_value=parts.MOST_BYTES)
chosen = st.one_of(st.just(0), st.integers(min_value=1, max_value=5_000_000_000))


@given(size=sizes, chosen_bytes=chosen)
def test_parts_cover_the_file_and_keep_b2s_limits(size: int, chosen_bytes: int) -> None:
    plan = parts.plan(size, chosen_bytes=chosen_bytes, least_bytes=LEAST)
    assert plan.count is not None
    assert 1 <= plan.count <= parts.MOST_PARTS
    assert plan.offset(1) == 0
    assert plan.offset(plan.count) + plan.length(plan.count) == size
    assert 1 <= plan.length(plan.count) <= plan.part_bytes
    assert LEAST <= plan.part_bytes <= 5_000_000_000
    middle = (plan.count + 1) // 2
    if middle < plan.count:
        assert plan.offset(middle) + plan.length(middle) == plan.offset(middle + 1)


@given(number=st.integers(min_value=1, max_value=parts.MOST_PARTS - 1))
def test_parts_of_an_unknown_length_touch_each_other(number: int) -> None:
    plan = parts.plan(None, chosen_bytes=0, least_bytes=LEAST)
    assert plan.offset(number) + plan.length(number) == plan.offset(number + 1)
    assert plan.length(number) in (parts.STREAM_PART_BYTES * factor for factor in (1, 2, 4))


def test_an_unknown_length_reaches_half_a_terabyte() -> None:
    plan = parts.plan(None, chosen_bytes=0, least_bytes=LEAST)
    assert plan.offset(parts.MOST_PARTS + 1) > 500_000_000_000


def test_more_than_b2_takes_is_refused() -> None:
    with pytest.raises(CallerError) as caught:
        parts.plan(parts.MOST_BYTES + 1, chosen_bytes=0, least_bytes=LEAST)
    assert caught.value.code == "source_too_large"


def test_only_enormous_files_are_streamed() -> None:
    limit = parts.BUFFERED_MOST_BYTES * parts.MOST_PARTS
    assert not parts.plan(limit, chosen_bytes=0, least_bytes=LEAST).is_streamed
    assert parts.plan(limit + 1, chosen_bytes=0, least_bytes=LEAST).is_streamed


def test_parts_are_smaller_where_not_every_slot_could_have_one() -> None:
    def part_bytes(fair_bytes: int, chosen_bytes: int = 0) -> int:
        plan = parts.plan(
            10**9, chosen_bytes=chosen_bytes, least_bytes=LEAST, fair_bytes=fair_bytes
        )
        return plan.part_bytes

    assert part_bytes(16 << 20) == parts.PART_BYTES
    assert part_bytes((7 << 20) - 1) == 6 << 20
    assert part_bytes(1) == LEAST
    assert part_bytes(1, chosen_bytes=20_000_000) == 20_000_000
