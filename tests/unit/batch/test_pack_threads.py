"""The threads that work through items: how many, and that they stay for the next pack."""

from __future__ import annotations

import threading

import pytest

from b2jobs_worker.batch.pack.threads import MOST_THREADS, Idle, Threads, Width
from support.waiting import eventually


class Clock:
    """The time, and what of it the process has computed."""

    def __init__(self) -> None:
        self.now = self.used = 0.0

    def width(self) -> Width:
        return Width(lambda: self.now, lambda: self.used)

    def pass_(self, seconds: float, *, busy: float) -> None:
        self.now += seconds
        self.used += seconds * busy


def test_every_item_is_done_once_and_threads_stay_for_the_next_pack() -> None:
    seen: list[int] = []
    workers = set()

    def act(number: int) -> None:
        seen.append(number)
        workers.add(threading.get_ident())

    for _ in range(20):
        threads = Threads(act, range(30), 30)
        assert threads.is_done.wait(10)
    assert sorted(seen) == sorted([*range(30)] * 20)
    assert len(workers) <= MOST_THREADS


def test_a_thread_that_was_not_used_for_a_while_ends() -> None:
    idle, done = Idle(idle_seconds=0.05), threading.Event()
    who: list[threading.Thread] = []

    def act() -> None:
        who.append(threading.current_thread())
        done.set()

    idle.run(act)
    assert done.wait(10)
    eventually(lambda: not who[0].is_alive())
    done.clear()
    idle.run(act)
    assert done.wait(10)


def test_waiting_for_answers_brings_more_threads_and_computing_does_not() -> None:
    clock = Clock()
    width = clock.width()
    assert width.take(60, at_least=2) == 4
    clock.pass_(0.1, busy=0.9)
    assert width.take(56, at_least=0) == 0
    clock.pass_(0.1, busy=0.2)
    assert width.take(56, at_least=0) == 4
    for _ in range(9):
        clock.pass_(0.1, busy=0.2)
        width.take(60, at_least=0)
    assert width.limit == width.at_work == MOST_THREADS
    clock.pass_(0.1, busy=0.2)
    assert width.take(30, at_least=2) == 2, "a pack has two threads, whatever the others do"
    clock.pass_(0.1, busy=1.0)
    assert width.take(30, at_least=0) == 0
    assert width.limit < MOST_THREADS


def test_a_pack_that_is_stopped_begins_nothing_more() -> None:
    begun, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def act(number: int) -> None:
        seen.append(number)
        begun.set()
        assert go_on.wait(10)

    width = Clock().width()
    threads = Threads(act, range(1000), 1000, width)
    assert begun.wait(10)
    threads.stop()
    go_on.set()
    assert threads.is_done.wait(10)
    assert len(seen) <= 4
    assert width.at_work == 0


def test_a_system_that_gives_no_more_threads_leaves_a_pack_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("b2jobs_worker.batch.pack.threads._idle", Idle())
    go_on, start, started = threading.Event(), threading.Thread.start, list[threading.Thread]()

    def start_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_two)
    width, seen = Clock().width(), list[int]()

    def act(number: int) -> None:
        assert go_on.wait(10)
        seen.append(number)

    threads = Threads(act, range(30), 30, width)
    assert width.at_work == 2
    with pytest.raises(RuntimeError):
        Threads(act, range(30), 30, width)
    go_on.set()
    assert threads.is_done.wait(10)
    assert sorted(seen) == [*range(30)]
    assert width.at_work == 0
