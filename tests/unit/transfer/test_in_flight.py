"""The number of parts under way, on a simulated line with a clock of its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2jobs_worker.b2.climb import Climb
from b2jobs_worker.b2.concurrency import MOST
from b2jobs_worker.transfer.in_flight import FEWEST, START, InFlight, InFlights

MIB = 1024 * 1024
PART = 16 * MIB


class Line:
    """A bandwidth that all parts share, what one connection can carry, and a wait for an answer.

    A new lane opens its connection first, which takes four round trips. *source* bytes a second
    are read; nothing is sent before it was.
    """

    def __init__(
        self,
        *,
        round_trip: float,
        bandwidth: float,
        connection: float = float("inf"),
        source: float = float("inf"),
        most: int = MOST,
        start: int = START,
        share: int = MOST,
    ) -> None:
        self.now = 0.0
        self.refusals = 0
        self.round_trip = round_trip
        self.bandwidth = bandwidth
        self.connection = connection
        self.source = source
        self.in_flight = InFlight(
            Climb(start=start, fewest=FEWEST, most=most),
            sample_bytes=PART,
            share=lambda: share,
            refusals=lambda: self.refusals,
            clock=lambda: self.now,
        )
        self.done_bytes = 0
        self.highest = 0
        self._read = 0.0 if source < float("inf") else source
        self._open = 0
        self._sending: list[list[float]] = []  # began, left
        self._waiting: list[tuple[float, str, float]] = []  # until, for what, began

    def run(self, seconds: float) -> float:
        """Bytes a second of *seconds* of sending."""
        end, before = self.now + seconds, self.done_bytes
        while self.now < end:
            self._fill()
            self._advance()
        return (self.done_bytes - before) / seconds

    def _fill(self) -> None:
        limit = self.in_flight.limit
        while len(self._sending) + len(self._waiting) < limit and self._read >= PART:
            self._read -= PART
            if self._open < len(self._sending) + len(self._waiting) + 1:
                self._open += 1
                self._waiting.append((self.now + 4 * self.round_trip, "open", 0.0))
            else:
                self._sending.append([self.in_flight.began(), PART])
        self.highest = max(self.highest, len(self._sending) + len(self._waiting))

    def _advance(self) -> None:
        each = min(self.connection, self.bandwidth / max(len(self._sending), 1))
        times = [until - self.now for until, _, _ in self._waiting]
        times += [left / each for _, left in self._sending]
        if self._read < PART:
            times.append((PART - self._read) / self.source)
        step = max(min(times), 1e-6)
        self.now += step
        if self._read < PART:
            self._read = min(self._read + step * self.source, PART)
        for part in self._sending:
            part[1] -= each * step
        for part in [part for part in self._sending if part[1] < 1]:
            self._sending.remove(part)
            self._waiting.append((self.now + self.round_trip, "answer", part[0]))
        for waiting in [waiting for waiting in self._waiting if waiting[0] <= self.now + 1e-9]:
            self._waiting.remove(waiting)
            _, what, began = waiting
            if what == "open":
                self._sending.append([self.in_flight.began(), PART])
            else:
                self.in_flight.ended(began, PART)
                self.done_bytes += PART


MBIT = 125_000.0


@pytest.mark.parametrize("megabits", [100, 1000, 10_000])
@pytest.mark.parametrize("milliseconds", [1, 30, 100, 300])
@pytest.mark.parametrize("connection_bytes_a_round_trip", [256 * 1024, 4 * MIB])
def test_it_comes_near_the_best_that_the_line_and_the_ceiling_allow(
    megabits: int, milliseconds: int, connection_bytes_a_round_trip: int
) -> None:
    round_trip = milliseconds / 1000
    connection = connection_bytes_a_round_trip / round_trip
    # Parts that begin at the same moment would also end and wait at the same moment, for ever.
    line = Line(
        round_trip=round_trip,
        bandwidth=megabits * MBIT,
        connection=connection,
        source=2 * megabits * MBIT,
    )
    one = PART / (PART / connection + round_trip)
    best = min(megabits * MBIT, MOST * one)
    part_seconds = PART * MOST / best
    line.run(10 + 8 * part_seconds)
    assert line.run(5 + 4 * part_seconds) >= 0.9 * best


def test_a_short_line_is_not_given_more_than_it_needs() -> None:
    line = Line(round_trip=0.001, bandwidth=100 * MBIT)
    line.run(600)
    assert line.highest <= 2 * START
    assert line.in_flight.limit <= START * 5 // 4 + 1


def test_a_longer_line_has_more_at_once() -> None:
    lines = [
        Line(round_trip=seconds, bandwidth=1000 * MBIT, connection=4 * MIB / seconds)
        for seconds in (0.01, 0.1, 0.3)
    ]
    for line in lines:
        line.run(120)
    near, far, farther = (line.in_flight.limit for line in lines)
    assert near < farther
    assert far <= farther


def test_where_the_source_is_slower_than_the_line_the_number_stays() -> None:
    line = Line(round_trip=0.1, bandwidth=1000 * MBIT, source=3 * MIB)
    line.run(300)
    assert line.in_flight.limit == START


def test_refusals_halve_it_and_it_comes_back() -> None:
    line = Line(round_trip=0.3, bandwidth=1000 * MBIT, connection=10 * MBIT)
    line.run(300)
    before = line.in_flight.limit
    assert before > 2 * START
    line.refusals += 1
    assert line.in_flight.limit == before // 2
    line.refusals += 1
    assert line.in_flight.limit == before // 2  # those of the same moment
    for _ in range(10):
        line.run(2)
        line.refusals += 1
    line.run(0.1)
    assert line.in_flight.limit == FEWEST
    line.run(600)
    assert line.in_flight.limit > before // 2


@settings(max_examples=40, deadline=None)
@given(
    most=st.integers(FEWEST, MOST),
    share=st.integers(FEWEST, MOST),
    round_trip=st.floats(0.001, 0.5),
    megabits=st.floats(1, 10_000),
    connection=st.floats(1, 1000),
)
def test_never_above_the_ceiling_nor_below_the_least(
    most: int, share: int, round_trip: float, megabits: float, connection: float
) -> None:
    start = min(START, most)
    line = Line(
        round_trip=round_trip,
        bandwidth=megabits * MBIT,
        connection=connection * MBIT,
        most=most,
        share=share,
        start=start,
    )
    for _ in range(5):
        line.run(100 * PART / (megabits * MBIT) / 5)
        assert FEWEST <= line.in_flight.limit <= min(most, share)
        line.refusals += 1
    assert line.highest <= min(most, share)


def test_files_share_what_a_process_has_at_once_equally() -> None:
    in_flights = InFlights()
    with in_flights.of_one("up", sample_bytes=1) as first:
        assert first.limit == START
        first._climb.limit = MOST
        assert first.limit == MOST
        with in_flights.of_one("up", sample_bytes=1), in_flights.of_one("up", sample_bytes=1):
            assert first.limit == MOST // 3
        assert first.limit == MOST


def test_the_next_file_on_a_line_begins_with_half_of_what_the_last_came_to() -> None:
    in_flights = InFlights()
    with in_flights.of_one("to one", sample_bytes=1) as first:
        first._climb.limit = 20
    with in_flights.of_one("to one", sample_bytes=1) as second:
        assert second.limit == 10
        second._climb.limit = 2
    with in_flights.of_one("to one", sample_bytes=1) as third:
        assert third.limit == START
    with in_flights.of_one("to another", sample_bytes=1) as other:
        assert other.limit == START


def test_a_number_that_was_set_is_kept_to() -> None:
    in_flights = InFlights(3)
    with in_flights.of_one("up", sample_bytes=1) as one:
        for _ in range(10):
            begun = [one.began() for _ in range(3)]
            for began in begun:
                one.ended(began, 10)
        one.refused()
        assert one.limit == 3
