"""What each change of a job tells the stream, and what is read from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from b2jobs.errors import InvalidJob
from b2jobs.event_stream import Event, EventReader, latest, read_events
from b2jobs.records import Records
from support.scripts import FAILURE, META, Scripts


@pytest.fixture
def records(redis_url: str, scripts: Scripts) -> Records:
    return Records(redis_url, scripts.prefix)


def told(records: Records, **wanted: Any) -> list[Event]:
    return list(read_events(EventReader(records, **wanted), follow=False))


def names(records: Records, **wanted: Any) -> list[str]:
    return [event.event for event in told(records, **wanted)]


def test_a_job_tells_its_whole_way(scripts: Scripts, records: Records) -> None:
    scripts.submit("j")
    fence = scripts.claim("j")[1]
    scripts.call("jobs/park", id="j", fence=fence, reason="cap", delay=0, failure=FAILURE)
    scripts.call("keeper/ring_due", most=10)
    scripts.claim("j", lease=-1)
    scripts.call("keeper/take_back", most=10)
    fence = scripts.claim("j")[1]
    scripts.call("jobs/hand_back", id="j", fence=fence)
    fence = scripts.claim("j")[1]
    scripts.call("jobs/cancel", id="j", failure=FAILURE, meta=META)
    scripts.finish("j", fence, "failed")
    scripts.call("jobs/retry", id="j")

    events = told(records)
    assert [each.event for each in events] == [
        *("submitted", "started", "waiting", "started", "lost", "started", "handed_back"),
        *("started", "cancelling", "ended", "retried"),
    ]
    assert {(each.job, each.kind) for each in events} == {("j", "upload")}
    assert [each.id for each in events] == sorted((each.id for each in events), key=placed)
    waiting, ended = events[2].details, events[9].details
    assert (waiting["reason"], waiting["code"]) == ("cap", "x")
    assert "T" in waiting["until"]
    assert ended == {"state": "failed", "code": "x"}
    assert [each.details["attempt"] for each in events if each.event == "started"] == [1, 2, 3, 4]
    assert events[5].details["losses"] == 1


def placed(identity: str) -> tuple[int, int]:
    milliseconds, number = identity.split("-")
    return int(milliseconds), int(number)


def test_an_owner_that_comes_back_and_a_job_that_is_refused(
    scripts: Scripts, records: Records
) -> None:
    scripts.submit("j")
    fence = scripts.claim("j", lease=-1)[1]
    scripts.call("keeper/take_back", most=10)
    assert scripts.beat("j", fence) == "ok"
    about = {"kind": "upload", "request": "{}", "failure": FAILURE, "meta": META}
    scripts.call("jobs/refuse", id="bad", **about)

    assert names(records, job="j")[-2:] == ["lost", "regained"]
    [refused] = told(records, job="bad")
    assert (refused.event, refused.details) == ("refused", {"state": "failed", "code": "x"})


def test_the_parts_of_a_batch_tell_of_the_batch_and_not_of_themselves(
    scripts: Scripts, records: Records
) -> None:
    """Ten thousand packs and a planner that takes its slot again each second are no news; how far
    the batch is, and what keeps its packs, is told once a second at most."""
    scripts.submit("B", kind="batch")
    fence = scripts.claim("B")[1]
    packs = [
        {
            "number": n,
            "id": f"B.p{n:06}",
            "job": {"kind": "pack", "priority": "normal", "request": "{}", "retry": 9},
        }
        for n in range(3)
    ]
    plan = {"fields": {"planned": "9"}, "counts": {}, "segments": [], "closed": []}
    scripts.call("batches/plan", b"", b"", b"", id="B", fence=fence, packs=packs, **plan)
    rest = {"reason": "window", "delay": 0, "low": -1}
    scripts.call("batches/rest", id="B", fence=fence, **rest)
    scripts.call("keeper/ring_due", most=9)
    scripts.claim("B")
    for n in range(3):
        pack = f"B.p{n:06}"
        held = scripts.claim(pack)[1]
        done = [[3 * n + i, "[]", "transferred", "", "5"] for i in range(3)]
        used = {"calls": {"a": 3}, "dollars": "0"}
        scripts.call("packs/record", pack=pack, fence=held, batch="B", outcomes=done, **used)
        scripts.call("jobs/park", id=pack, fence=held, reason="cap", delay=9, failure=FAILURE)
    scripts.call("batches/pause", id="B")
    scripts.call("batches/pause", id="B")
    scripts.call("batches/resume", id="B")
    scripts.call("batches/resume", id="B")

    events = told(records)
    assert {each.job for each in events} == {"B"}
    assert [each.event for each in events] == [
        *("submitted", "started", "progress", "waiting", "paused", "resumed")
    ]
    progress, waiting = events[2].details, events[3].details
    assert progress == {"items": 9, "finished": 3, "bytes": 15, "outcomes": {"transferred": 3}}
    assert (waiting["reason"], waiting["code"]) == ("cap", "x")


def test_events_are_read_on_behind_an_id_by_kind_and_by_job(
    scripts: Scripts, records: Records
) -> None:
    for n in range(700):
        scripts.submit(f"u{n}")
        scripts.submit(f"c{n}", kind="copy")
    everything = told(records)
    assert len(everything) == 1400
    assert told(records, after=everything[999].id) == everything[1000:]
    assert [each.job for each in told(records, kinds=["copy"])] == [f"c{n}" for n in range(700)]
    assert [each.job for each in told(records, job="u600")] == ["u600"]
    assert [e.job for e in latest(records, 3, kinds=["upload"])] == ["u697", "u698", "u699"]
    assert latest(records, 5000) == everything
    for wrong in ({"after": "yesterday"}, {"kinds": ["uplaod"]}):
        with pytest.raises(InvalidJob, match=next(iter(wrong.values()))[0]):
            EventReader(records, **wrong)  # type: ignore[arg-type]  # a value of each type


def test_a_follower_is_told_what_comes_and_nothing_of_before(
    scripts: Scripts, records: Records
) -> None:
    scripts.submit("before")
    reader = EventReader(records, "now")
    assert reader.read() == []
    scripts.submit("j")
    assert [each.job for each in reader.read(5)] == ["j"]
    assert reader.read(0.01) == []


def test_the_stream_is_capped_and_a_reader_learns_what_it_missed(
    scripts: Scripts, records: Records
) -> None:
    scripts.redis.hset(scripts.key("retention"), "events", 200)
    scripts.submit("first")
    [first] = told(records)
    for n in range(1000):
        scripts.submit(f"u{n}")
    kept = told(records)
    assert 200 <= len(kept) <= 300  # whole nodes of the stream go, of 100 entries each
    late = told(records, after=first.id)
    assert late[0].event == "missed"
    assert late[1:] == kept
    assert names(records, after=kept[10].id) == ["submitted"] * (len(kept) - 11)

    scripts.redis.hset(scripts.key("retention"), "events", 0)
    scripts.submit("untold")
    assert told(records) == kept


def test_a_job_ends_where_its_event_cannot_be_written(
    make_redis: Callable[..., Any], records: Records
) -> None:
    """A full Redis, a user that may not XADD, a key of another type: what happens goes on."""
    server = make_redis(maxmemory_policy="noeviction")
    scripts = Scripts(server.client(), server.url, "t:")
    fences = {}
    for job in ("full", "typed", "barred"):
        scripts.submit(job)
        fences[job] = scripts.claim(job)[1]
    server.set("maxmemory", 1)
    assert scripts.finish("full", fences["full"])[0] == "ended"
    server.set("maxmemory", 0)
    own = Records(server.url, "t:")
    assert names(own, job="full") == ["submitted", "started", "ended"]

    scripts.redis.delete(scripts.key("events"))
    scripts.redis.set(scripts.key("events"), "mine")
    assert scripts.finish("typed", fences["typed"])[0] == "ended"

    scripts.redis.acl_setuser(
        "w",
        enabled=True,
        nopass=True,
        categories=["+@all"],
        commands=["-xadd"],
        keys=["*"],
        channels=["*"],
    )
    with Redis.from_url(server.url.replace("//", "//w:x@"), decode_responses=True) as barred:
        Scripts(barred, server.url, "t:").finish("barred", fences["barred"])
    assert {scripts.state(job) for job in fences} == {"succeeded"}
    assert json.loads(scripts.redis.get("t:celery-task-meta-barred"))["status"] == "SUCCESS"
