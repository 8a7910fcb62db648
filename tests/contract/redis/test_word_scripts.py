"""The scripts of the outbox: no end without its word, and who tells it when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.scripts import FAILURE, META, STATES, Scripts

TELL = json.dumps([["lane", '{"task": "a"}'], ["other", '{"url": "b"}']])
LEASE = 60


def words(scripts: Scripts, lane: str = "lane") -> list[str]:
    return [str(word) for word in scripts.redis.zrange(scripts.key(f"lane:{lane}"), 0, -1)]


def taken(scripts: Scripts) -> set[str]:
    return set(scripts.call("words/take", most=9, lease=LEASE))


def following(scripts: Scripts, lane: str = "lane") -> tuple[str, dict[str, str]] | None:
    found = scripts.call("words/next", lane=lane, lease=LEASE)
    return (found[0], dict(zip(found[1][::2], found[1][1::2], strict=True))) if found else None


def fail(scripts: Scripts, word: str, **more: Any) -> int:
    given = {"error": "no", "delay": 60, "ends": 0, "is_silent": 0, "longest": 60}
    given |= {"patience": 3600, "keep": 60, **more}
    return int(scripts.call("words/failed", word=word, lane="lane", **given))


@pytest.mark.parametrize("state", STATES)
def test_a_word_for_each_receiver_stands_in_the_outbox_once_the_job_has_ended(
    scripts: Scripts, state: str
) -> None:
    scripts.job(state, tell=TELL)
    has_ended = state in STATES[3:]
    assert len(words(scripts)) == len(words(scripts, "other")) == int(has_ended)
    assert taken(scripts) == ({"lane", "other"} if has_ended else set())
    if has_ended:
        word, found = following(scripts) or ("", {})
        assert word == words(scripts)[0] != words(scripts, "other")[0]
        assert (found["job"], found["state"], found["to"]) == ("j", state, '{"task": "a"}')


def test_who_asks_for_nothing_leaves_nothing(scripts: Scripts) -> None:
    scripts.job("succeeded")
    assert not list(scripts.redis.scan_iter(match=scripts.key("*word*")))
    assert not scripts.redis.exists(scripts.key("outbox"), scripts.key("outbox-bell"))


def test_every_way_to_end_says_its_word(scripts: Scripts) -> None:
    scripts.job("queued", "cancelled", tell=TELL)
    scripts.call("jobs/cancel", id="cancelled", failure=FAILURE, meta=META)
    scripts.submit("expired", tell=TELL, expires=0.0001)
    scripts.claim("expired")
    scripts.call(
        "jobs/refuse", id="refused", kind="x", request="", failure=FAILURE, meta=META, tell=TELL
    )
    fence = scripts.job("running", "batch", kind="batch", tell=TELL)
    scripts.call(
        "batches/finish", id="batch", fence=fence, state="failed", failure=FAILURE, result="{}",
        meta=META, keep=60,
    )  # fmt: skip
    found = [scripts.redis.hgetall(scripts.key(f"word:{word}")) for word in words(scripts)]
    assert {each["job"]: each["state"] for each in found} == {
        "cancelled": "cancelled",
        "expired": "failed",
        "refused": "failed",
        "batch": "failed",
    }


def test_an_end_is_told_once_and_a_second_end_under_another_id(scripts: Scripts) -> None:
    fence = scripts.job("failed", tell=TELL)
    scripts.finish("j", fence, "failed")
    [first] = words(scripts)
    scripts.call("jobs/retry", id="j")
    assert words(scripts) == [first]
    scripts.finish("j", scripts.claim()[1])
    assert len(words(scripts)) == 2


def test_a_lane_is_served_by_one_at_a_time(scripts: Scripts) -> None:
    scripts.job("succeeded", "a", tell=TELL)
    assert taken(scripts) == {"lane", "other"}
    assert taken(scripts) == set()
    scripts.job("succeeded", "b", tell=TELL)
    assert taken(scripts) == set(), "whoever serves it sees the new word"
    told = set()
    while found := following(scripts):
        told.add(found[1]["job"])
        assert scripts.call("words/told", word=found[0], lane="lane", lists=[]) == 1
    assert told == {"a", "b"}
    assert scripts.redis.zrange(scripts.key("outbox"), 0, -1) == ["other"]
    scripts.job("succeeded", "c", tell=TELL)
    assert taken(scripts) == {"lane"}


def test_a_lane_whose_lease_ran_out_is_taken_again_with_the_word_that_was_under_way(
    scripts: Scripts,
) -> None:
    scripts.job("succeeded", tell=TELL)
    scripts.call("words/take", most=9, lease=-1)
    word = words(scripts)[0]
    assert taken(scripts) == {"lane", "other"}
    assert (following(scripts) or [""])[0] == word


def test_messages_go_out_with_the_word_and_never_twice(scripts: Scripts) -> None:
    scripts.job("succeeded", tell=TELL)
    [word] = words(scripts)
    answers = [
        scripts.call("words/told", b"1", b"2", word=word, lane="lane", lists=["q", "r"])
        for _ in range(2)
    ]
    assert answers == [1, 0]
    assert [scripts.redis.lrange(f"{scripts.prefix}{key}", 0, -1) for key in "qr"] == [["1"], ["2"]]
    assert words(scripts) == []


def test_nothing_goes_out_where_a_queue_is_none(scripts: Scripts) -> None:
    scripts.job("succeeded", tell=TELL)
    [word] = words(scripts)
    scripts.redis.set(f"{scripts.prefix}r", "x")
    answer = scripts.call("words/told", b"1", b"2", word=word, lane="lane", lists=["q", "r"])
    assert answer == "r"
    assert not scripts.redis.exists(f"{scripts.prefix}q")
    assert words(scripts) == [word]


def test_a_word_that_failed_waits_and_the_next_one_has_its_turn(scripts: Scripts) -> None:
    for job in "ab":
        scripts.job("succeeded", job, tell=TELL)
    first, _ = following(scripts) or ("", {})
    assert fail(scripts, first) == 1
    second, _ = following(scripts) or ("", {})
    assert {first, second} == set(words(scripts))
    assert fail(scripts, second) == 1
    assert following(scripts) is None
    assert scripts.redis.hget(scripts.key(f"word:{first}"), "tries") == "1"


def test_a_destination_that_is_silent_keeps_its_lane_waiting(scripts: Scripts) -> None:
    scripts.job("succeeded", "a", tell=TELL)
    scripts.job("succeeded", "b", tell=TELL)
    taken(scripts)
    first, _ = following(scripts) or ("", {})
    assert fail(scripts, first, is_silent=1) == 0
    assert taken(scripts) == set()
    assert scripts.redis.hget(scripts.key("silences"), "lane") == "1"
    scripts.call("words/told", word=words(scripts)[0], lane="lane", lists=[])
    assert not scripts.redis.exists(scripts.key("silences"))


@pytest.mark.parametrize("way", ["ends", "patience"])
def test_what_was_given_up_is_kept_and_sent_again(scripts: Scripts, way: str) -> None:
    scripts.job("succeeded", tell=TELL)
    [word] = words(scripts)
    fail(scripts, word, **({"ends": 1} if way == "ends" else {"patience": 1}))
    assert words(scripts) == []
    assert scripts.redis.zrange(scripts.key("undelivered"), 0, -1) == [word]
    assert 0 < scripts.redis.ttl(scripts.key(f"word:{word}")) <= 60
    assert scripts.call("words/resend", word=word) == 1
    assert words(scripts) == [word]
    assert scripts.redis.ttl(scripts.key(f"word:{word}")) == -1
    assert not scripts.redis.exists(scripts.key("undelivered"))
    assert scripts.call("words/drop", word=word) == 1
    assert scripts.call("words/drop", word=word) == scripts.call("words/resend", word=word) == 0


def test_a_day_of_silence_ends_the_words_that_had_no_turn(scripts: Scripts) -> None:
    for job in "abc":
        scripts.job("succeeded", job, tell=TELL)
    fail(scripts, words(scripts)[0], is_silent=1, patience=-1)
    assert words(scripts) == []
    assert scripts.redis.zcard(scripts.key("undelivered")) == 3


def test_one_that_shares_a_jobs_result_has_a_word_of_its_own(scripts: Scripts) -> None:
    fence = scripts.job("running")
    scripts.call("jobs/follow", first="j", id="before", tell=TELL)
    scripts.finish("j", fence)
    scripts.call("jobs/follow", first="j", id="after", tell=TELL)
    found = [scripts.redis.hgetall(scripts.key(f"word:{word}")) for word in words(scripts)]
    assert {each["job"]: each["result"] for each in found} == {"before": "{}", "after": "{}"}
    assert not list(scripts.redis.scan_iter(match=scripts.key("follower*")))


def test_what_no_b2jobs_wrote_keeps_no_job_from_ending(scripts: Scripts) -> None:
    for at, tell in enumerate(("no json", "5", '"x"', "[5]", "[[1, 2]]")):
        scripts.job("succeeded", f"j{at}", tell=tell)
        assert scripts.state(f"j{at}") == "succeeded"
