"""The memory of large uploads."""

from __future__ import annotations

import pytest

from b2jobs_worker.transfer.buffers import LEAST_BUFFERS, Buffers


def go_on() -> None:
    """A checkpoint of an attempt that goes on."""


def test_a_process_does_not_hand_out_more_than_it_has() -> None:
    buffers = Buffers(100)
    with buffers.reserve(10, 8) as first, buffers.reserve(10, 8) as second:
        assert (first.count, second.count) == (8, 2)
        with buffers.reserve(10, 8) as third:
            assert third.count == LEAST_BUFFERS
    with buffers.reserve(10, 8) as again:
        assert again.count == 8


def test_a_buffer_is_used_again() -> None:
    with Buffers(100).reserve(10, 2) as buffers:
        one = buffers.take(10, go_on)
        buffers.give(one)
        assert buffers.take(10, go_on) is one


def test_taking_waits_for_one_that_is_given_back() -> None:
    with Buffers(100).reserve(10, 2) as buffers:
        one, two = buffers.take(10, go_on), buffers.take(10, go_on)
        waited: list[None] = []

        def checkpoint() -> None:
            waited.append(None)
            buffers.give(two)

        assert buffers.take(10, checkpoint) is two
        assert waited
        assert one is not two


def test_larger_parts_take_the_place_of_smaller_buffers() -> None:
    with Buffers(100).reserve(10, 4) as buffers:
        small = [buffers.take(10, go_on) for _ in range(4)]
        for buffer in small:
            buffers.give(buffer)
        large = buffers.take(40, go_on)
        assert len(large) == 40

        def checkpoint() -> None:
            raise InterruptedError

        with pytest.raises(InterruptedError):
            buffers.take(40, checkpoint)
        buffers.give(large)
        assert buffers.take(40, go_on) is large
