"""The door: what a full Redis allows, refusals, arguments; and the scripts of the whole fleet."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

import b2jobs
from b2jobs.redis import Door, script_text
from support.redis_server import RedisServer
from support.scripts import FAILURE, META, Scripts

FOLDER = Path(str(files("b2jobs.redis")))
NAMES = sorted(
    str(path.relative_to(FOLDER).with_suffix(""))
    for path in FOLDER.rglob("*.lua")
    if path.parent.name != "shared"
)
ENDING = {"failure": FAILURE, "meta": META}
OWNED = {"id": "b", "fence": "1:r"}
PACKED = {"pack": "p", "fence": "1:r", "batch": "b"}
JOB = {"kind": "upload", "priority": "normal", "request": "{}", "retry": 0}
CALLS: dict[str, dict[str, Any]] = {
    "jobs/submit": {**JOB, "delay": 0},
    "jobs/submit_many": {"jobs": [{**JOB, "id": "new", "delay": 0}]},
    "jobs/cancel": ENDING,
    "jobs/retry": {"id": "failed"},
    "jobs/refuse": {"kind": "upload", "request": "{}", **ENDING},
    "jobs/follow": {"first": "queued"},
    "jobs/tell": {"meta": META, "keep": 60},
    "jobs/claim": {
        "id": "queued",
        "worker": "w",
        "lease": 60,
        "random": "s",
        "longest": 99,
        **ENDING,
        "keep": 60,
    },
    "jobs/beat": {"lease": 60, "held": [{"id": "b", "fence": "1:r", "progress": "{}"}]},
    "jobs/journal": {**OWNED, "fields": {"part": "1"}},
    "jobs/finish": {
        **{**OWNED, "state": "failed", **ENDING, "keep": 60},
        "next": {
            **{"queues": ["b2jobs"], "kinds": ",upload,"},
            **{"worker": "w", "lease": 60, "random": "s", "longest": 99},
        },
    },
    "jobs/disown": {"id": "b", "made": "v1"},
    "jobs/park": {**OWNED, "reason": "b2", "delay": 1, "failure": FAILURE},
    "jobs/hand_back": OWNED,
    "jobs/ring_again": {"id": "queued"},
    "keeper/lead": {"token": "t", "lead": 5, "worker": "w", "results": 1, "failures": 1},
    "keeper/take_back": {"most": 9},
    "keeper/ring_due": {"most": 9},
    "keeper/ring_unheard": {"most": 9},
    "keeper/hasten": {"ids": ["b"], "reason": "b"},
    "keeper/tell_followers": {"most": 9},
    "keeper/forget": {"most": 9, "results": 1, "failures": 1},
    "keeper/sweep_staged": {"most": 9},
    "keeper/fold": {"most": 9},
    "keeper/gather": {"most": 9},
    "keeper/forward": {"queue": "celery", "most": 9},
    "batches/pause": {"id": "b"},
    "batches/resume": {"id": "b"},
    "batches/retry": {"id": "failed", "again": "{}"},
    "batches/feed": {"id": "b", "number": 0, "most": 9},
    "batches/feed_end": {"id": "b", "number": 0},
    "batches/note": {**OWNED, "fields": {"x": "1"}},
    "batches/plan": {
        **{**OWNED, "fields": {"x": "1"}, "counts": {"n": "1"}, "segments": [], "closed": []},
        "packs": [
            {
                "number": 2,
                "id": "q",
                "job": JOB,
            }
        ],
    },
    "batches/rest": {**OWNED, "reason": "window", "delay": 1, "low": -1},
    "batches/wake_packs": {"id": "b", "after": -1},
    "batches/spool": {**OWNED, "keep": 60},
    "batches/page": {**OWNED, "number": 0, "most": 9, "keep": 60, "notes": {"at": "1"}},
    "batches/finish": {**OWNED, "state": "failed", **ENDING, "result": "{}", "keep": 60},
    "packs/record": {
        **{**PACKED, "calls": {"a": 1}, "dollars": "1"},
        "outcomes": [[0, "[]", "done", "", "1"]],
    },
    "packs/seal": {**PACKED, "number": 1},
    "packs/pause": PACKED,
    "packs/disown": {"pack": "p", "made": [[5, "v"]]},
    "words/take": {"most": 9, "lease": 60},
    "words/next": {"lane": "l", "lease": 60},
    "words/leave": {"lane": "l"},
    "words/told": {"word": "w", "lane": "l", "lists": ["q"]},
    "words/failed": {
        **{"word": "w", "lane": "l", "error": "", "delay": 1, "ends": 1, "is_silent": 1},
        **{"longest": 1, "patience": 1, "keep": 60},
    },
    "words/send": {"word": "w", "once": "t", "list": "q"},
    "words/resend": {"word": "w"},
    "words/drop": {"word": "w"},
    "staged/put": {"id": "s", "number": 0, "most": 9, "all": 0},
    "staged/drop": {"id": "s"},
    "staged/keep": {"id": "s", "owner": "b"},
    "celery/give_back": {"list": "b2jobs"},
    "celery/keep_copy": {"index": "i", "copies": "c", "tag": "t", "at": 1.5},
    "celery/bind": {"sets": ["a", "b"], "member": "m"},
    "fleet/hold_pair": {"pair": "x", "keep": 60},
    "fleet/swap_schedule": {"name": "n", "before": "", "after": "{}"},
    "fleet/count": {"amounts": {"calls|default|a": 1}},
    "fleet/budget": {
        **{"account": "default", "class": "c", "want": 16, "price": 4000, "owed": 0},
        **{"most_b": 1, "most_c": 9, "most_nano": 10**9},
    },
    "fleet/grant": {"key": "k", "cost": 1, "burst": 0},
    "fleet/pause": {"key": "k", "told": "{}", "milliseconds": 1000},
}


def test_every_script_is_tried_here() -> None:
    assert sorted(CALLS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_script_says_what_it_takes_and_whether_a_full_redis_allows_it(name: str) -> None:
    text = (FOLDER / f"{name}.lua").read_text()
    found = re.search(r"^-- Full Redis: (allows|refuses) it", text, re.MULTILINE)
    assert found is not None
    allowed = text.startswith("#!lua flags=allow-oom\n")
    assert allowed == (found[1] == "allows")
    header = text.split("\nlocal ")[0]
    for argument in re.findall(r"given\.(\w+)", text):
        assert re.search(rf"\b{argument}\b", header), argument


# What ends work or frees memory goes on; what adds work is refused before it begins. Batches
# stood still in a full Redis once, since none of their scripts was allowed there.
def test_a_full_redis_refuses_what_adds_work_and_nothing_else(own_scripts: Scripts) -> None:
    redis = own_scripts.redis

    def outcome(name: str) -> str:
        redis.config_set("maxmemory", 0)
        redis.flushall()
        for id, state in (("b", "running"), ("p", "running"), ("queued", "queued")):
            own_scripts.job(state, id)
        own_scripts.job("failed", "failed")
        redis.lpush("t:celery", '{"headers": {"task": "b2jobs.upload"}}')
        redis.config_set("maxmemory", 1)
        before = redis.dbsize()
        try:
            own_scripts.call(name, b"bytes", **{"id": "new", **CALLS[name]})
        except b2jobs.QueueUnavailable as error:
            did_nothing = "maxmemory" in str(error) and redis.dbsize() == before
            return "refuses" if did_nothing else f"half done: {error}"
        return "allows"

    said = {
        name: re.findall(r"^-- Full Redis: (\w+)", (FOLDER / f"{name}.lua").read_text(), re.M)[0]
        for name in NAMES
    }
    assert {name: outcome(name) for name in NAMES} == said
    refused = {name for name, answer in said.items() if answer == "refuses"}
    assert refused == {
        *("jobs/submit", "jobs/submit_many", "jobs/retry", "jobs/refuse", "jobs/follow"),
        *("batches/retry", "batches/feed", "fleet/swap_schedule", "staged/put"),
    }


@pytest.mark.parametrize(
    "refusal",
    [
        *("OOM command not allowed", "LOADING x", "READONLY x", "MASTERDOWN x", "NOREPLICAS x"),
        *("MISCONF x", "BUSY x", "NOAUTH x", "WRONGPASS x", "NOPERM x"),
        "DENIED Redis is running in protected mode",
    ],
)
def test_what_redis_refuses_is_queue_unavailable(scripts: Scripts, refusal: str) -> None:
    reply = f"#!lua\nreturn redis.error_reply({refusal!r})"
    door = _door_with(scripts, reply)
    with pytest.raises(b2jobs.QueueUnavailable):
        door.call("jobs/retry")


def test_a_bug_in_a_script_is_no_refusal(scripts: Scripts) -> None:
    # `busy` as a word of a message is none either.
    door = _door_with(scripts, "#!lua\nerror('busy loading')")
    with pytest.raises(ResponseError):
        door.call("jobs/retry")


def _door_with(scripts: Scripts, text: str) -> Door:
    door = Door(scripts.redis, "redis://x", scripts.prefix)
    door._scripts["jobs/retry"] = scripts.redis.register_script(text)
    return door


def test_a_script_that_redis_has_forgotten_is_loaded_again(own_scripts: Scripts) -> None:
    own_scripts.submit()
    own_scripts.redis.script_flush()
    assert own_scripts.claim()[0] == "claimed"


def test_no_script_is_there_without_its_name() -> None:
    with pytest.raises(FileNotFoundError):
        script_text("jobs/nothing")


def test_a_redis_that_is_not_there_is_queue_unavailable(
    make_redis: Callable[..., RedisServer],
) -> None:
    server = make_redis()
    server.kill()
    door = Door(server.client(), server.url)
    with pytest.raises(b2jobs.QueueUnavailable, match="did not confirm"):
        door.call("keeper/ring_due", most=1)


def test_a_pair_belongs_to_one_sync_until_that_has_ended(scripts: Scripts) -> None:
    fence = scripts.job("running", "first")
    scripts.submit("second")

    def hold(id: str) -> str:
        return str(scripts.call("fleet/hold_pair", pair="x", id=id, keep=60))

    assert [hold("first"), hold("first"), hold("second")] == ["first", "first", "first"]
    scripts.finish("first", fence)
    assert [hold("second"), hold("first")] == ["second", "second"]


def test_a_schedule_is_swapped_by_one_of_two(scripts: Scripts) -> None:
    def swap(before: str, after: str) -> int:
        return int(scripts.call("fleet/swap_schedule", name='n"', before=before, after=after))

    assert [swap("", "a"), swap("", "b"), swap("a", "c"), swap("a", "d")] == [1, 0, 1, 0]
    assert scripts.redis.hgetall(scripts.key("schedule-states")) == {'n"': "c"}


def test_a_rate_is_granted_once_and_what_is_not_granted_is_not_booked(scripts: Scripts) -> None:
    waits = [scripts.call("fleet/grant", key="k", cost=60_000, burst=0) for _ in range(3)]
    assert waits[0] == 0
    assert all(59_000 < wait <= 60_000 for wait in waits[1:])


def test_the_later_end_of_two_pauses_holds(scripts: Scripts) -> None:
    for told, milliseconds in (("a", 60_000), ("b", 90_000), ("c", 1000)):
        scripts.call("fleet/pause", key="k", told=told, milliseconds=milliseconds)
    assert scripts.redis.get(f"{scripts.prefix}k") == "b"
    assert scripts.redis.pttl(f"{scripts.prefix}k") > 60_000
