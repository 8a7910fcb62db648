"""Limits by the hour and weekday: wall clocks, midnight, changed clocks, overlaps."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2jobs.rates import Rates
from b2jobs_worker.timetable import DAYS, timetable

BERLIN = ZoneInfo("Europe/Berlin")
# Offsets that differ much, half hours, and Lord Howe, whose clocks change by half an hour.
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
minutes = st.integers(0, 24 * 60 - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@given(moments, minutes, minutes, st.sampled_from(ZONES), st.sets(st.integers(0, 6), min_size=1))
def test_a_window_holds_by_the_wall_clock_of_its_zone(
    moment: datetime, begin: int, end: int, zone: str, days: set[int]
) -> None:
    if begin == end:
        return
    named = ",".join(DAYS[day].title() for day in sorted(days))
    table = timetable({f"{named} {clock(begin)}-{clock(end)} {zone}": "1 kB/s"})
    # By another way: the wall clock goes back, minute by minute, to when the window began.
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, second=0, microsecond=0)
    since = (wall.hour * 60 + wall.minute - begin) % (24 * 60)
    began = wall - timedelta(minutes=since)
    holds = since < ((end - begin) % (24 * 60)) and began.weekday() in days
    assert table.at(moment) == Rates(1000.0 if holds else None)


@settings(max_examples=30)
@given(
    moments,
    st.lists(
        st.tuples(minutes, minutes, st.sampled_from(ZONES), st.integers(1, 9), st.booleans()),
        max_size=5,
    ),
    st.one_of(st.none(), st.integers(1, 9)),
)
def test_of_windows_that_overlap_the_lowest_counts_of_each(
    moment: datetime, windows: list[tuple[int, int, str, int, bool]], base: int | None
) -> None:
    limits = {
        f"{clock(begin)}-{clock(end)} {zone}": f"{number} {'MB' if of_bytes else 'requests'}/s"
        for begin, end, zone, number, of_bytes in windows
        if begin != end
    }
    table = timetable(limits, Rates(base and base * 1e6, base))
    alone = [timetable({text: value}).at(moment) for text, value in limits.items()]
    held = [each for each in alone if each != Rates()]
    found = table.at(moment)
    for name in ("bytes_per_second", "requests_per_second"):
        told = [number for each in held if (number := getattr(each, name)) is not None]
        expected = min(told) if told else getattr(table.base, name)
        assert getattr(found, name) == expected
    change = table.next_change(moment)
    if change is not None:
        assert table.at(change) != found
        assert table.at(change - timedelta(minutes=1)) == found or change - moment < timedelta(
            minutes=1
        )


def test_the_night_the_clocks_change() -> None:
    table = timetable({"02:00-03:00 Europe/Berlin": "1 kB/s"})
    back = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # 02:00 comes twice, at 0:00 and 1:00 UTC
    held = [table.at(back + timedelta(minutes=30 * step)) != Rates() for step in range(-2, 6)]
    assert held == [False, False, True, True, True, True, False, False]
    forward = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 is left out
    held = [table.at(forward + timedelta(minutes=30 * step)) != Rates() for step in range(-2, 4)]
    assert held == [False] * 6
    night = timetable({"22:00-06:00 Europe/Berlin": "1 kB/s"})
    begins = datetime(2026, 10, 24, 22, 0, tzinfo=BERLIN).astimezone(UTC)
    assert night.next_change(begins) == begins + timedelta(hours=9)


def test_midnight_belongs_to_the_evening_before() -> None:
    table = timetable({"Fri 22:00-06:00": "1 kB/s", "Sat-Mon 00:00-24:00": "5 requests/s"})
    saturday = datetime(2026, 11, 28, tzinfo=UTC)
    assert table.at(saturday - timedelta(minutes=1)) == Rates(1000.0)
    assert table.at(saturday + timedelta(hours=5, minutes=59)) == Rates(1000.0, 5.0)
    assert table.at(saturday + timedelta(hours=6)) == Rates(None, 5.0)
    assert table.at(saturday + timedelta(days=3)) == Rates()
    assert table.next_change(saturday + timedelta(hours=6)) == saturday + timedelta(days=3)


def test_unlimited_lifts_what_holds_otherwise() -> None:
    table = timetable({"22:00-06:00": "unlimited"}, Rates(1e6, 10.0))
    assert table.at(datetime(2026, 11, 25, 23, tzinfo=UTC)) == Rates()
    assert table.at(datetime(2026, 11, 25, 12, tzinfo=UTC)) == Rates(1e6, 10.0)
    assert str(Rates(2.5e6, 10.0)) == "2.5 MB/s, 10 requests/s"


@pytest.mark.parametrize(
    ("window", "value", "said"),
    [
        ("nachts", "1 MB/s", "nachts"),
        ("Europe/Berlin", "1 MB/s", "not understood"),
        ("22:00-25:00", "1 MB/s", "no clock shows"),
        ("24:00-02:00", "1 MB/s", "no clock shows"),
        ("22:60-23:00", "1 MB/s", "no clock shows"),
        ("08:00-08:00", "1 MB/s", "00:00-24:00"),
        ("Mon-Fry 08:00-18:00", "1 MB/s", "Mon-Fry"),
        ("08:00-18:00 Europe/Berlyn", "1 MB/s", "Berlyn"),
        ("08:00-18:00 Europe/Berlin now", "1 MB/s", "not understood"),
        ("08:00-18:00", "fast", "fast"),
        ("08:00-18:00", "1 MB", "1 MB"),
        ("08:00-18:00", "1 mb/s", "1 mb/s"),
        ("08:00-18:00", "0 MB/s", "0 MB/s"),
        ("08:00-18:00", "1 MB/s, 2 MB/s", "twice"),
        ("08:00-18:00", 1_000_000, "1000000"),
        ("08:00-18:00", {"bytes": 1}, "bytes"),
        ("08:00-18:00", {"bytes_per_second": 0}, "0"),
        ("08:00-18:00", {"bytes_per_second": True}, "True"),
        ("08:00-18:00", {}, "table"),
    ],
)
def test_nonsense_is_refused_by_its_window_and_value(window: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(window)[:3]) as caught:
        timetable({window: value})
    assert said in str(caught.value)
