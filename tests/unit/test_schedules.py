"""When schedules fire: both nights the clocks change, downtime, overlap, clocks set wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2jobs.errors import InvalidJob
from b2jobs.schedule import Schedule, define
from b2jobs.schedule_status import Run, Status, status_of
from b2jobs_worker.schedule import IN_TIME_SECONDS, advance

BERLIN = ZoneInfo("Europe/Berlin")
CHECK = {"job": "check"}


def at(*fields: int, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime(*fields, tzinfo=zone, fold=fold).timestamp()  # type: ignore[arg-type]  # year, month, ...


def slots(schedule: Schedule, start: float, end: float) -> list[str]:
    found, slot = [], schedule.slot_after(start)
    while slot < end:
        moment = datetime.fromtimestamp(slot, ZoneInfo(schedule.timezone))
        found.append(moment.strftime("%H:%M%z"))
        slot = schedule.slot_after(slot)
    return found


def berlin(cron: str) -> Schedule:
    return define("s", {**CHECK, "cron": cron, "timezone": "Europe/Berlin"})


@pytest.mark.parametrize(
    ("cron", "ran"),
    [
        ("30 2 * * *", ["03:00+0200"]),  # 02:30 does not exist: right behind the gap
        ("0 3 * * *", ["03:00+0200"]),
        ("0 2,3 * * *", ["03:00+0200"]),
        ("15 * * * *", ["00:15+0100", "01:15+0100", "03:15+0200", "04:15+0200"]),
        ("*/30 1-3 * * *", ["01:00+0100", "01:30+0100", "03:00+0200", "03:30+0200"]),
    ],
)
def test_the_night_clocks_go_forward(cron: str, ran: list[str]) -> None:
    assert slots(berlin(cron), at(2026, 3, 28, 23, 59), at(2026, 3, 29, 5)) == ran


@pytest.mark.parametrize(
    ("cron", "ran"),
    [
        ("30 2 * * *", ["02:30+0200"]),  # once, although 02:30 comes twice
        ("0 3 * * *", ["03:00+0100"]),
        (
            "15 * * * *",
            ["00:15+0200", "01:15+0200", "02:15+0200", "02:15+0100", "03:15+0100", "04:15+0100"],
        ),
    ],
)
def test_the_night_clocks_go_back(cron: str, ran: list[str]) -> None:
    assert slots(berlin(cron), at(2026, 10, 24, 23, 59), at(2026, 10, 25, 5)) == ran


CRONS = st.sampled_from(
    [
        "30 2 * * *",
        "0 2,3 * * *",
        "15 * * * *",
        "*/7 * * * *",
        "0,30 1-3 * * *",
        "5 0 1 * 1",
        "0 0 * * 0",
    ]
)
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"]
)
NIGHTS = st.sampled_from(
    [(2026, 3, 8), (2026, 3, 29), (2026, 4, 5), (2026, 10, 4), (2026, 10, 25), (2026, 11, 1)]
)


@given(CRONS, ZONES, NIGHTS, st.floats(0, 2 * 86_400))
def test_slots_are_the_same_from_wherever_they_are_counted(
    cron: str, zone: str, night: tuple[int, int, int], offset: float
) -> None:
    """Each keeper counts from another moment; they must agree, or a slot runs twice."""
    schedule = define("s", {**CHECK, "cron": cron, "timezone": zone})
    begin = datetime(*night, tzinfo=UTC).timestamp() - 86_400
    all_slots, slot = [], schedule.slot_after(begin)
    while slot < begin + 3 * 86_400:
        all_slots.append(slot)
        slot = schedule.slot_after(slot)
    assert all_slots == sorted(set(all_slots))
    later = [found for found in all_slots if found > begin + offset]
    expected = later[0] if later else slot
    assert schedule.slot_after(begin + offset) == expected


@given(st.floats(1, 10**6), st.floats(0, 4 * 10**9))
def test_intervals_are_counted_from_1970(every: float, moment: float) -> None:
    schedule = define("s", {**CHECK, "every": every})
    slot = schedule.slot_after(moment)
    assert moment < slot <= moment + every * (1 + 1e-9) + 1e-6
    assert round(slot / every) * every == pytest.approx(slot)


def walk(schedule: Schedule, status: Status, times: list[float]) -> list[float]:
    """The slots fired when the keeper looks at *times*; every run ends at once."""
    fired = []
    for now in times:
        slot = advance(schedule, status, now)
        if slot is not None:
            fired.append(slot)
    return fired


@settings(deadline=None)
@given(CRONS, NIGHTS, st.lists(st.floats(0.5, 50), min_size=5, max_size=60), st.floats(0, 30))
def test_a_keeper_that_looks_often_enough_loses_and_doubles_nothing(
    cron: str, night: tuple[int, int, int], pauses: list[float], jitter: float
) -> None:
    schedule = define("s", {**CHECK, "cron": cron, "timezone": "Europe/Berlin", "jitter": jitter})
    now = datetime(*night, tzinfo=UTC).timestamp()
    start, times = now, []
    for pause in pauses * 20:
        now += pause
        times.append(now)
    fired = walk(schedule, Status(), [start, *times])
    due = []
    slot = schedule.slot_after(start)
    while slot <= now:
        if schedule.fires_at(slot) <= now:
            due.append(slot)
        slot = schedule.slot_after(slot)
    assert fired == due


def test_a_clock_set_back_doubles_nothing_and_one_far_ahead_silences_nothing() -> None:
    schedule = define("s", {**CHECK, "every": 600})
    status = Status()
    start = at(2026, 6, 1, 12)
    hour = [start + 10 * i for i in range(361)]
    first = walk(schedule, status, hour)
    assert len(first) == 6
    assert walk(schedule, status, hour[180:]) == [], "half an hour back: those slots have run"
    assert len(walk(schedule, status, [start + 3600 + 10 * i for i in range(361)])) == 6
    walk(schedule, status, [start + 10 * 365 * 86_400])
    assert len(walk(schedule, status, [start + 7200 + 10 * i for i in range(361)])) == 6


@pytest.mark.parametrize("missed", ["skip", "run"])
def test_after_downtime_all_that_was_missed_is_one_run_or_none(missed: str) -> None:
    schedule = define("s", {**CHECK, "cron": "0 * * * *", "missed": missed})
    status = Status()
    start = at(2026, 6, 1, 12, 30, zone=ZoneInfo("UTC"))
    assert walk(schedule, status, [start]) == []
    back = start + 86_400 * 3 + 600
    fired = walk(schedule, status, [back, back + 1, back + 2])
    latest = back - back % 3600
    assert fired == ([latest] if missed == "run" else [])
    assert status.next == latest + 3600
    if missed == "skip":
        assert status.last == Run(latest, "missed", note="no worker was there in time")


def test_a_change_of_leader_is_no_downtime() -> None:
    schedule = define("s", {**CHECK, "every": 3600})
    status = Status()
    start = at(2026, 6, 1, 12, 30)
    walk(schedule, status, [start])
    assert len(walk(schedule, status, [start + 1800 + IN_TIME_SECONDS - 1])) == 1


@pytest.mark.parametrize("every", [1.0, 7.5])
def test_years_of_downtime_are_not_counted_one_by_one(every: float) -> None:
    schedule = define("s", {**CHECK, "every": every})
    status = Status(schedule.timing(), next=at(1999, 1, 1) // every * every)
    now = at(2026, 6, 1)
    [slot] = walk(schedule, status, [now])
    assert now - every <= slot <= now


@pytest.mark.parametrize("overlap", ["skip", "wait", "replace"])
def test_a_run_that_is_not_over(overlap: str) -> None:
    schedule = define("s", {**CHECK, "every": 600, "overlap": overlap})
    start = at(2026, 6, 1, 12)
    status = Status()
    [first] = walk(schedule, status, [start - 1, start])
    status.add(Run(first, "running", "job-1"))
    slot = advance(schedule, status, start + 600)
    if overlap == "replace":
        assert slot == start + 600
        return
    assert slot is None
    if overlap == "skip":
        assert status.last is not None
        assert status.last.state == "skipped"
        status.runs[1].state = "succeeded"  # type: ignore[index]  # it has two
        assert advance(schedule, status, start + 700) is None
        assert advance(schedule, status, start + 1200) == start + 1200
    else:
        assert advance(schedule, status, start + 1300) is None
        status.runs[0].state = "succeeded"  # type: ignore[index]  # it has one
        assert advance(schedule, status, start + 1501) == start + 1200, "the latest, once"
        assert advance(schedule, status, start + 1502) is None


def test_another_timing_is_counted_anew_and_a_new_argument_is_not() -> None:
    status = Status()
    hourly = define("s", {**CHECK, "every": 3600})
    walk(hourly, status, [at(2026, 6, 1, 12, 30)])
    assert status.next == at(2026, 6, 1, 13)
    walk(define("s", {**CHECK, "every": 3600, "overlap": "wait"}), status, [at(2026, 6, 1, 12, 31)])
    assert status.next == at(2026, 6, 1, 13)
    walk(define("s", {**CHECK, "every": 60}), status, [at(2026, 6, 1, 12, 32)])
    assert status.next == at(2026, 6, 1, 12, 33)


def test_a_date_that_never_comes_costs_nothing() -> None:
    schedule = define("s", {**CHECK, "cron": "* * */20 * 1L"})
    status = Status()
    assert advance(schedule, status, at(2026, 6, 1)) is None
    assert status_of(status.dumped()).next == float("inf")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"cron": "61 * * * *", **CHECK}, "Bad minute"),
        ({"cron": "0 0 * * *", "every": 5, **CHECK}, "either cron or every"),
        (CHECK, "either cron or every"),
        ({"every": 0, **CHECK}, "every"),
        ({"every": 60, "timezone": "Mars/Olympus", **CHECK}, "no time zone"),
        ({"every": 60, "timezone": "../etc/passwd", **CHECK}, "no time zone"),
        ({"every": 60, "job": "nothing"}, "no kind of job"),
        ({"every": 60, "job": "upload", "arguments": {"source": "data:,"}}, "destination"),
        ({"every": 60, "job": "check", "arguments": {"key": "x"}}, "leave key out"),
        ({"every": 60, "speed": 3, **CHECK}, "speed"),
    ],
)
def test_schedules_that_can_never_run_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidJob, match=said):
        define("nightly", values)


def test_jitter_is_the_same_for_every_keeper_and_differs_by_slot() -> None:
    schedule = define("s", {**CHECK, "every": 3600, "jitter": 300})
    slots = [3600.0 * i for i in range(50)]
    delays = [schedule.fires_at(slot) - slot for slot in slots]
    assert delays == [schedule.fires_at(slot) - slot for slot in slots]
    assert all(0 <= delay <= 300 for delay in delays)
    assert len(set(delays)) > 40


def test_what_is_stored_reads_back() -> None:
    status = Status("t", 5.0, 4.0, [Run(4.0, "succeeded", "j", result={"size": 1})], True)
    assert status_of(status.dumped()) == status


def test_a_slot_has_one_key() -> None:
    schedule = define("nightly", {**CHECK, "cron": "0 3 * * *"})
    slot = schedule.slot_after(at(2026, 6, 1))
    assert schedule.key(slot) == "schedule:nightly:2026-06-01T03:00:00+00:00"
    assert timedelta(seconds=slot - at(2026, 6, 1)) == timedelta(hours=5)


def test_what_passes_while_it_is_paused_is_left_out() -> None:
    schedule, status = (
        define("s", {**CHECK, "every": 10, "missed": "run", "overlap": "wait"}),
        Status(),
    )
    advance(schedule, status, 1000.0)
    assert advance(schedule, status, 1010.0) == 1010.0
    status.paused, status.waiting = True, True
    for now in range(1011, 1100):
        assert advance(schedule, status, float(now)) is None
    assert (status.next, status.runs) == (None, None)
    again = status_of(status.dumped())
    assert again.paused
    again.paused = False
    assert advance(schedule, again, 1100.0) is None
    assert (again.next, advance(schedule, again, 1110.0)) == (1110.0, 1110.0)


def test_the_next_runs() -> None:
    start = at(2026, 3, 28, 12)
    found = [datetime.fromtimestamp(due, BERLIN) for due in berlin("30 2 * * *").upcoming(start, 3)]
    assert [due.strftime("%d %H:%M") for due in found] == ["29 03:00", "30 02:30", "31 02:30"]
