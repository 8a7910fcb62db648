"""The number of requests under way, in a simulated B2 with a clock of its own."""

from __future__ import annotations

import heapq
import math

import pytest

from b2jobs_worker.b2.concurrency import FEWEST, MOST, START, Concurrency


class Simulation:
    """Callers that always have work, and a server that answers after *latency* seconds, but
    no more than *capacity* a second."""

    def __init__(self, latency: float, capacity: float, callers: int = 200) -> None:
        self.now = 0.0
        self.latency = latency
        self.capacity = capacity
        self.callers = callers
        self.concurrency = Concurrency(clock=lambda: self.now)
        self.done = 0
        self._ends: list[float] = []
        self._free_at = 0.0

    def run(self, seconds: float, *, overloaded_above: float = math.inf) -> None:
        end = self.now + seconds
        while self.now < end:
            while len(self._ends) < min(self.concurrency.limit, self.callers):
                self.concurrency.enter(lambda: None)
                self._free_at = max(self._free_at, self.now) + 1 / self.capacity
                heapq.heappush(self._ends, max(self._free_at, self.now + self.latency))
            if len(self._ends) < self.callers:
                self.concurrency._saturated = True  # somebody waits for a place
            under_way = len(self._ends)
            self.now = heapq.heappop(self._ends)
            self.done += 1
            self.concurrency.leave(16_384, overloaded=under_way > overloaded_above)


@pytest.mark.parametrize("latency", [0.03, 0.1])
def test_it_grows_while_that_brings_throughput(latency: float) -> None:
    simulation = Simulation(latency, capacity=10_000)
    simulation.run(20)
    assert simulation.concurrency.limit == MOST


def test_it_stays_small_where_more_brings_nothing() -> None:
    simulation = Simulation(0.001, capacity=500)
    simulation.run(30)
    assert simulation.concurrency.limit <= START * 5 // 4 + 1
    assert simulation.done >= 0.95 * 30 * 500


def test_it_reaches_most_of_what_the_server_can_do() -> None:
    simulation = Simulation(0.05, capacity=600)
    simulation.run(20)
    simulation.done, before = 0, simulation.now
    simulation.run(20)
    assert simulation.done / (simulation.now - before) >= 0.85 * 600


def test_refusals_for_load_halve_it_at_once() -> None:
    simulation = Simulation(0.03, capacity=10_000)
    simulation.run(20)
    simulation.concurrency.enter(lambda: None)
    simulation.concurrency.leave(0, overloaded=True)
    assert simulation.concurrency.limit == MOST // 2


def test_it_settles_below_what_is_refused_and_never_stops() -> None:
    simulation = Simulation(0.03, capacity=10_000)
    simulation.run(60, overloaded_above=20)
    assert FEWEST <= simulation.concurrency.limit <= 30
    simulation.run(60, overloaded_above=0)
    assert simulation.concurrency.limit == FEWEST


def test_with_little_to_do_it_does_not_move() -> None:
    simulation = Simulation(0.03, capacity=10_000, callers=4)
    simulation.run(10)
    assert simulation.concurrency.limit == START


def test_waiting_for_a_place_can_be_interrupted() -> None:
    concurrency = Concurrency()
    for _ in range(START):
        concurrency.enter(lambda: None)

    def checkpoint() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        concurrency.enter(checkpoint)
    concurrency.leave(0)
    concurrency.enter(checkpoint)
