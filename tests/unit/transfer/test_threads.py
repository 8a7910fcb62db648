"""Threads that work for a transfer: how many, and what an exception does."""

from __future__ import annotations

import threading

import pytest

from b2jobs_worker.transfer.threads import Threads
from support.waiting import eventually


def test_no_more_than_the_width_at_once() -> None:
    threads = Threads()
    lock = threading.Lock()
    at_once: list[int] = [0, 0]
    three = threading.Barrier(3, timeout=10)

    def act(_: int) -> None:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        three.wait()
        with lock:
            at_once[0] -= 1

    threads.each(act, range(30), width=3)
    assert at_once == [0, 3]


def test_an_exception_ends_it_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def act(number: int) -> None:
        begun.append(number)
        if number == 5:
            raise ValueError(number)

    with pytest.raises(ValueError, match="5"):
        Threads().each(act, range(1000), width=2)
    assert len(begun) < 20


def test_leaving_with_an_exception_waits_for_what_runs() -> None:
    ended = threading.Event()
    go = threading.Event()

    def act() -> None:
        go.wait(10)
        ended.set()

    def fail() -> None:
        with Threads().lanes(2) as lanes:
            lanes.submit(act)
            threading.Timer(0.05, go.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert ended.is_set()


def test_check_raises_what_a_lane_has_raised_and_waits_for_no_other() -> None:
    go = threading.Event()
    lanes = Threads().lanes(2)
    lanes.submit(go.wait, 10)
    lanes.submit(wrong)
    try:
        with pytest.raises(ValueError, match="wrong"):
            eventually(lanes.check, timeout=5)
    finally:
        go.set()
    lanes.check()  # told once
    lanes.join()


def test_join_raises_what_a_lane_has_raised() -> None:
    lanes = Threads().lanes(2)
    lanes.submit(wrong)
    with pytest.raises(ValueError, match="wrong"):
        lanes.join()


def wrong() -> None:
    raise ValueError("wrong")
