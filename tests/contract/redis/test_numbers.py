"""The fleet's numbers: counted where things happen, by the minute, the day and of all time."""

from __future__ import annotations

import pytest
from redis import Redis

from b2jobs import numbers
from b2jobs.numbers import BOUNDS_SECONDS, JobCount, summed
from b2jobs.records import Records
from b2jobs.redis import script_text
from support.scripts import FAILURE, META, Scripts


@pytest.fixture
def records(redis_url: str, scripts: Scripts) -> Records:
    return Records(redis_url, scripts.prefix)


def last(records: Records) -> numbers.Numbers:
    return summed(numbers.minutes(records, 3))


def test_jobs_are_counted_by_kind_state_and_code(scripts: Scripts, records: Records) -> None:
    for n in range(3):
        scripts.submit(f"u{n}")
        scripts.finish(f"u{n}", scripts.claim(f"u{n}")[1])
    scripts.submit("c", kind="copy")
    fence = scripts.claim("c")[1]
    scripts.call("jobs/park", id="c", fence=fence, reason="cap", delay=0, failure=FAILURE)
    scripts.call("keeper/ring_due", most=9)
    scripts.claim("c", lease=-1)
    scripts.call("keeper/take_back", most=9)
    scripts.finish("c", scripts.claim("c")[1], "failed")
    scripts.submit("x")
    scripts.call("jobs/cancel", id="x", failure=FAILURE, meta=META)

    found = last(records)
    assert found.jobs() == [
        JobCount("upload", "succeeded", "", 3),
        JobCount("copy", "failed", "x", 1),
        JobCount("upload", "cancelled", "x", 1),
    ]
    assert found.submitted() == {"upload": 4, "copy": 1}
    assert found.retries() == {("cap", "x"): 1}
    assert found.recoveries() == 1
    assert (found.waited().count, found.waited("upload").count, found.ran().count) == (4, 3, 4)
    assert found.waited().seconds < 30
    assert found.ran("upload").quantile(0.99) in BOUNDS_SECONDS
    assert found.kinds() == ["copy", "upload"]


def test_items_are_counted_and_packs_are_not_jobs(scripts: Scripts, records: Records) -> None:
    scripts.submit("B", kind="batch")
    fence = scripts.claim("B")[1]
    job = {"kind": "pack", "priority": "normal", "request": "{}", "retry": 9}
    plan = {"fields": {}, "counts": {}, "segments": [], "closed": []}
    packs = [{"number": 1, "id": "B.p000001", "job": job}]
    scripts.call("batches/plan", b"", id="B", fence=fence, packs=packs, **plan)
    own = {"pack": "B.p000001", "fence": scripts.claim("B.p000001")[1], "batch": "B"}
    done = [
        [0, "[]", "transferred", "", "5", "upload"],
        [1, "[]", "transferred", "", "5", "upload"],
        [2, "[]", "failed", "gone", "0", "delete"],
        [3, "[]", "again", "busy", "0", "delete"],
    ]
    for _ in range(2):  # written twice, counted once
        scripts.call("packs/record", **own, outcomes=done, calls={}, dollars="0")
    found = last(records)
    assert found.items() == [
        JobCount("upload", "transferred", "", 2),
        JobCount("delete", "failed", "gone", 1),
    ]
    assert found.jobs() == []
    assert found.waited().count == 1


def test_what_workers_used_is_added_up_by_account(scripts: Scripts, records: Records) -> None:
    amounts = {
        "calls|default|a": 2,
        "calls|nas|c": 3,
        "bytes|default|up": 5_000_000_000,
        "nanodollars|nas": 12000,
    }
    lead = {"token": "t", "lead": 5, "worker": "w", "results": 1, "failures": 1, "numbers": 7200}
    scripts.call("keeper/lead", **lead, amounts=amounts)
    scripts.call("keeper/lead", **{**lead, "token": "other"}, amounts=amounts)  # does not lead
    scripts.call("fleet/count", amounts=amounts)
    found = last(records)
    assert found.accounts() == ["default", "nas"]
    assert found.calls() == {"a": 6, "b": 0, "c": 9}
    assert found.calls("nas") == {"a": 0, "b": 0, "c": 9}
    assert found.moved_bytes("default") == {"up": 15_000_000_000, "down": 0}
    assert found.dollars() == pytest.approx(3.6e-5)
    bucket = next(scripts.redis.scan_iter(f"{scripts.prefix}b2jobs:numbers:[0-9]*"))
    assert 0 < scripts.redis.ttl(bucket) <= 14 * 86400


def test_minutes_that_are_over_become_days_and_totals_once(
    scripts: Scripts, records: Records
) -> None:
    now = int(scripts.redis.time()[0]) // 60
    for minute, amount in ((now - 40, 1), (now - 2, 10), (now - 1, 100), (now, 1000)):
        scripts.redis.hset(scripts.key(f"numbers:{minute}"), "job|upload|succeeded|", amount)
    assert numbers.totals(records).jobs()[0].count == 1111
    while scripts.call("keeper/fold", most=9) == 9:
        assert numbers.totals(records).jobs()[0].count == 1111  # never less, never twice
        for found in (numbers.hours(records, 2), numbers.days(records, 2)):
            assert summed(found).jobs()[0].count == 1111
    scripts.call("keeper/fold", most=9)
    assert numbers.totals(records).jobs()[0].count == 1111
    assert sum(day.jobs()[0].count for day in numbers.days(records, 2) if day.jobs()) == 1111
    assert sum(hour.jobs()[0].count for hour in numbers.hours(records, 2) if hour.jobs()) == 1111
    series = numbers.minutes(records, 60)
    assert [each.jobs()[0].count for each in series if each.jobs()] == [1, 10, 100, 1000]
    assert [each.seconds for each in series[:-1]] == [60.0] * 59


def test_a_minute_has_only_so_many_names(scripts: Scripts, records: Records) -> None:
    """Somebody who sends a code of his own with each job does not fill Redis."""
    for first in range(0, 6000, 1000):
        names = {f"calls|account{n}|a": 1 for n in range(first, first + 1000)}
        scripts.call("fleet/count", amounts=names)
    keys = list(scripts.redis.scan_iter(f"{scripts.prefix}b2jobs:numbers:[0-9]*"))
    assert all(scripts.redis.hlen(key) <= 4001 for key in keys)


def test_a_job_ends_where_it_cannot_be_counted(scripts: Scripts, redis_url: str) -> None:
    now = int(scripts.redis.time()[0]) // 60
    for minute in (now, now + 1):
        scripts.redis.set(scripts.key(f"numbers:{minute}"), "mine")
    scripts.submit("j")
    assert scripts.finish("j", scripts.claim("j")[1])[0] == "ended"
    assert scripts.state() == "succeeded"
    assert isinstance(scripts.redis, Redis)


def test_the_buckets_are_the_same_on_both_sides() -> None:
    text = script_text("shared/count")
    line = next(line for line in text.splitlines() if "BOUNDS = " in line)
    said = line.split("{")[1].split("}")[0].split(",")
    assert tuple(float(bound) for bound in said) == BOUNDS_SECONDS
