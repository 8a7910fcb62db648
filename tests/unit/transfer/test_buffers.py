"""The memory of large files: never more than the limit, in turn, and given back."""

from __future__ import annotations

import threading

import pytest

from b2jobs_worker.transfer.buffers import Buffers
from support.waiting import eventually


def go_on() -> None:
    """A checkpoint of an attempt that goes on."""


class Stopped(Exception):
    pass


def stop() -> None:
    raise Stopped


def test_a_process_does_not_hand_out_more_than_it_has() -> None:
    buffers = Buffers(100)
    with buffers.of_one() as first, buffers.of_one() as second:
        first.take(60, go_on)
        second.take(40, go_on)
        with pytest.raises(Stopped):
            second.take(1, stop)
        with pytest.raises(Stopped), buffers.hold(1, stop):
            pass
        assert buffers.used_bytes == 100
    assert buffers.used_bytes == 0


def test_a_piece_larger_than_the_limit_has_it_alone() -> None:
    buffers = Buffers(100)
    with buffers.of_one() as one:
        one.take(200, go_on)
        with pytest.raises(Stopped):
            one.take(1, stop)
    with buffers.of_one() as one:
        one.take(1, go_on)
        with pytest.raises(Stopped):
            one.take(200, stop)


def test_a_buffer_is_used_again() -> None:
    with Buffers(100).of_one() as buffers:
        one = buffers.take(10, go_on)
        buffers.give(one)
        assert buffers.take(8, go_on).obj is one.obj


def test_larger_parts_take_the_place_of_smaller_buffers() -> None:
    with Buffers(40).of_one() as buffers:
        for buffer in [buffers.take(10, go_on) for _ in range(4)]:
            buffers.give(buffer)
        large = buffers.take(40, go_on)
        assert len(large) == 40
        with pytest.raises(Stopped):
            buffers.take(40, stop)
        buffers.give(large)
        assert buffers.take(40, go_on).obj is large.obj


def test_who_waits_is_served_before_the_one_that_gives() -> None:
    """A transfer that has much gives way to those that have nothing, one buffer at a time."""
    buffers = Buffers(20)
    order: list[str] = []
    with buffers.of_one() as much:
        held = [much.take(10, go_on), much.take(10, go_on)]

        def other(name: str) -> None:
            with buffers.of_one() as its:
                its.take(10, go_on)
                order.append(name)

        threads = [threading.Thread(target=other, args=(name,)) for name in ("one", "two")]
        for number, thread in enumerate(threads, start=1):
            thread.start()
            eventually(lambda number=number: len(buffers._waiting) == number)
        much.give(held[0])
        much.take(10, go_on)
        assert order == ["one", "two"]
        for thread in threads:
            thread.join()


def test_what_a_transfer_still_has_in_the_end_goes_back() -> None:
    buffers = Buffers(100)
    with buffers.of_one() as one:
        one.give(one.take(50, go_on))
        one.take(50, go_on)
    assert buffers.used_bytes == 0
    with buffers.hold(100, stop) as view:
        assert len(view) == 100


def test_fewer_parts_under_way_take_less_memory() -> None:
    buffers = Buffers(100)
    with buffers.of_one() as one:
        for buffer in [one.take(10, go_on) for _ in range(10)]:
            one.give(buffer)
        assert buffers.used_bytes == 20
