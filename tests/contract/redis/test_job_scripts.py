"""Each script of a job alone: in each state, refused, called twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from b2jobs.redis import QUEUES
from support.scripts import FAILURE, META, STATES, Scripts

PARKED = {"reason": "b2", "delay": 60, "failure": FAILURE}
GIVEN: dict[str, dict[str, Any]] = {
    "jobs/cancel": {"failure": FAILURE, "meta": META},
    "jobs/retry": {},
    "jobs/ring_again": {},
    "jobs/park": PARKED,
    "jobs/hand_back": {},
    "jobs/journal": {"fields": {"part:1": "sha"}},
    "jobs/finish": {"state": "succeeded", "result": "{}", "meta": META, "keep": 60},
    "jobs/disown": {"made": "v1"},
}

# script, state before, answer, answer of a second call, state after both
CASES: list[tuple[str, str, Any, Any, str]] = [
    ("jobs/cancel", "none", "", "", "none"),
    ("jobs/cancel", "queued", "cancelled", "cancelled", "cancelled"),
    ("jobs/cancel", "running", "running", "running", "running"),
    ("jobs/cancel", "waiting", "queued", "queued", "queued"),
    *(("jobs/cancel", state, state, state, state) for state in STATES[3:]),
    ("jobs/retry", "none", "", "", "none"),
    *(("jobs/retry", state, state, state, state) for state in STATES[:4]),
    ("jobs/retry", "failed", "queued", "queued", "queued"),
    ("jobs/retry", "cancelled", "queued", "queued", "queued"),
    ("jobs/ring_again", "none", 0, 0, "none"),
    ("jobs/ring_again", "queued", 1, 1, "queued"),
    *(("jobs/ring_again", state, 0, 0, state) for state in STATES[1:]),
    ("jobs/park", "running", 1, 0, "waiting"),
    ("jobs/hand_back", "running", 1, 0, "queued"),
    ("jobs/journal", "running", 1, 1, "running"),
    ("jobs/finish", "running", ["ended", []], ["ended", []], "succeeded"),
    *(
        (script, state, refusal, refusal, state)
        for script, refusal in (
            ("jobs/park", 0),
            ("jobs/hand_back", 0),
            ("jobs/journal", 0),
            ("jobs/finish", ["lost", []]),
        )
        for state in ("none", "queued", *STATES[2:])
        if (script, state) != ("jobs/finish", "succeeded")  # by who has ended it: see below
    ),
    ("jobs/disown", "none", ["", ""], ["", ""], "none"),
    *(("jobs/disown", state, [state, ""], [state, ""], state) for state in STATES[:3]),
    ("jobs/disown", "succeeded", ["succeeded", "{}"], ["succeeded", "{}"], "succeeded"),
    ("jobs/disown", "failed", ["failed", ""], ["failed", ""], "failed"),
]


@pytest.mark.parametrize(("script", "before", "first", "second", "after"), CASES)
def test_in_every_state_and_twice(
    scripts: Scripts, script: str, before: str, first: Any, second: Any, after: str
) -> None:
    fence = scripts.job(before)
    fenced = {"fence": fence} if script in FENCED else {}

    answers = [scripts.call(script, id="j", **fenced, **GIVEN[script]) for _ in range(2)]

    assert answers == [first, second]
    assert scripts.state() == after
    shelf = f"{after}:normal" if after == "queued" else after
    assert scripts.shelves() == (set() if after == "none" else {shelf})


FENCED = ("jobs/park", "jobs/hand_back", "jobs/journal", "jobs/finish")


@pytest.mark.parametrize("script", FENCED)
def test_an_outdated_owner_changes_nothing(scripts: Scripts, script: str) -> None:
    old = scripts.job("running", key="k")
    scripts.call("jobs/hand_back", id="j", fence=old)
    new = scripts.claim()[1]
    before = scripts.redis.hgetall(scripts.key("job:j"))

    answer = scripts.call(script, id="j", fence=old, **GIVEN[script])

    assert answer in (0, ["lost", []])
    assert scripts.beat("j", old) == "lost"
    assert scripts.redis.hgetall(scripts.key("job:j")) == before
    assert scripts.beat("j", new) == "ok"


def test_who_lost_the_answer_of_an_end_hears_of_it_again_and_ends_nothing_twice(
    scripts: Scripts,
) -> None:
    fence = scripts.job("running")
    said = scripts.finish("j", fence)
    before = scripts.redis.hgetall(scripts.key("job:j"))
    events = scripts.redis.xlen(scripts.key("events"))

    assert scripts.finish("j", fence) == said == ["ended", []]
    assert scripts.redis.hgetall(scripts.key("job:j")) == before
    assert scripts.redis.xlen(scripts.key("events")) == events
    assert scripts.finish("j", fence, "failed") == ["lost", []]
    assert scripts.finish("j", "2:r") == ["lost", []]
    scripts.job("failed", "again")
    scripts.call("jobs/retry", id="again")
    assert scripts.finish("again", "1:r", "failed") == ["lost", []]


@pytest.mark.parametrize("fence", ["", "0", "1:other"])
def test_a_fence_that_was_never_given_owns_nothing(scripts: Scripts, fence: str) -> None:
    # An empty one is what the record has when nobody owns it.
    for state in ("queued", "running"):
        scripts.job(state, state)
        assert scripts.call("jobs/hand_back", id=state, fence=fence) == 0


@pytest.mark.parametrize("script", ["jobs/park", "jobs/hand_back"])
def test_who_has_left_a_job_cannot_take_it_back_with_a_late_beat(
    scripts: Scripts, script: str
) -> None:
    fence = scripts.job("running")
    scripts.call(script, id="j", fence=fence, **GIVEN[script])
    state = scripts.state()
    assert scripts.beat("j", fence) == "lost"
    assert scripts.state() == state


def test_a_late_owner_goes_on_where_nobody_took_its_job(scripts: Scripts) -> None:
    scripts.submit()
    fence = scripts.claim(lease=0)[1]
    assert scripts.call("keeper/take_back", most=10) == 1
    assert (scripts.state(), scripts.field("lost")) == ("queued", "1")
    assert scripts.beat("j", fence) == "ok"
    assert (scripts.state(), scripts.field("lost"), scripts.shelves()) == (
        "running",
        "0",
        {"running"},
    )


def test_beats_answer_for_each_job_apart(scripts: Scripts) -> None:
    ok, cancelled = scripts.job("running", "a"), scripts.job("running", "b")
    scripts.call("jobs/cancel", id="b", **GIVEN["jobs/cancel"])
    scripts.job("succeeded", "c")
    held = [("a", ok), ("b", cancelled), ("c", "1:r"), ("d", "1:r")]
    given = [{"id": id, "fence": fence, "progress": '{"done": 1}'} for id, fence in held]
    for _ in range(2):
        answers = scripts.call("jobs/beat", lease=60, held=given)
        assert answers == ["ok", "cancel", "lost", "gone"]
    assert scripts.field("progress", "a") == '{"done": 1}'
    assert scripts.call("jobs/beat", lease=60, held=[]) == []


@pytest.mark.parametrize("state", ["none", *STATES[1:]])
def test_only_a_queued_job_can_be_claimed(scripts: Scripts, state: str) -> None:
    scripts.job(state)
    said = "unknown" if state == "none" else state
    assert [scripts.claim(), scripts.claim()] == [[said], [said]]


def test_a_claim_tells_all_and_makes_a_fence_of_its_own(scripts: Scripts) -> None:
    scripts.submit(request='{"a": 1}', retry=0.1)
    first = scripts.claim()
    assert first[:5] == ["claimed", "1:r", "1", "upload", '{"a": 1}']
    assert [float(each) for each in first[6:8]] == [0.1, 0]
    assert scripts.claim() == ["running"]
    scripts.call("jobs/hand_back", id="j", fence="1:r")
    assert scripts.claim()[1] == "2:r"


def test_what_is_past_its_expiry_ends_when_it_is_claimed(scripts: Scripts) -> None:
    scripts.submit(expires=-1)
    assert scripts.claim() == ["expired"]
    assert scripts.state() == "failed"
    assert scripts.claim() == ["failed"]


def test_submitting_twice_and_with_a_key_that_is_taken(scripts: Scripts) -> None:
    assert [scripts.submit("a", key="k"), scripts.submit("a", key="k")] == ["a", "a"]
    assert scripts.submit("b", key="k") == "a"
    assert scripts.submit("a") == "a"
    assert scripts.submit("c", delay=60) == "c"
    assert (scripts.state("b"), scripts.state("c")) == ("none", "waiting")
    assert [bell["headers"]["id"] for bell in scripts.bells()] == ["a"]


def test_refusing_does_nothing_where_there_is_a_record(scripts: Scripts) -> None:
    given = {"kind": "upload", "request": "{}", "failure": FAILURE, "meta": META}
    assert [scripts.call("jobs/refuse", id="j", **given) for _ in range(2)] == [1, 0]
    assert scripts.shelves() == {"failed"}
    scripts.job("running", "r")
    assert scripts.call("jobs/refuse", id="r", **given) == 0
    assert scripts.state("r") == "running"


def test_strays_go_to_whoever_ends_the_job_once(scripts: Scripts) -> None:
    fence = scripts.job("running")
    strays = [f"v{n}" for n in range(9000)]  # more than Lua can return one by one
    scripts.redis.sadd(scripts.key("strays:j"), *strays)
    scripts.call("jobs/disown", id="j", made="late")
    ended, found = scripts.finish("j", fence)
    assert (ended, sorted(found)) == ("ended", sorted([*strays, "late"]))
    assert not scripts.redis.exists(scripts.key("strays:j"))


def test_a_journal_is_cleared_where_nothing_is_given(scripts: Scripts) -> None:
    fence = scripts.job("running")
    fields = {f"part:{n}": "x" for n in range(9000)}
    assert scripts.call("jobs/journal", id="j", fence=fence, fields=fields) == 1
    assert scripts.redis.hlen(scripts.key("journal:j")) == 9000
    assert scripts.call("jobs/journal", id="j", fence=fence) == 1
    assert not scripts.redis.exists(scripts.key("journal:j"))


# A quote in an id, in a kind, or in what a failure says did kill worker processes again and
# again: ids were put into JSON, and taken out of it, by string patterns.
TEXTS = ['a"b', "a\\", "%1 %d @id@", "é✓𝄞", "a\nb\tc\x00", "x" * 5000, "a/b", '", "task_id": "x"}']


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_may_be_an_id(scripts: Scripts, text: str) -> None:
    said = {"status": "SUCCESS", "result": {"n": 2**60, "f": 0.1, "l": [], "o": {}, "t": text}}
    scripts.submit(text, key=text)
    [bell] = scripts.bells()
    headers, properties = bell["headers"], bell["properties"]
    assert headers["id"] == headers["root_id"] == properties["correlation_id"] == text
    assert properties["delivery_tag"] == f"{text}-{headers['rung']}-1"
    scripts.call("jobs/follow", first=text, id=f"{text}-follower")
    fence = scripts.claim(text)[1]

    scripts.finish(text, fence, meta=json.dumps(said))

    for id in (text, f"{text}-follower"):
        stored = scripts.redis.get(f"{scripts.prefix}celery-task-meta-{id}")
        assert json.loads(str(stored)) == {"task_id": id, "children": [], **said}


def test_a_follower_that_comes_late_is_given_what_is_stored_and_how_long(scripts: Scripts) -> None:
    scripts.job("succeeded")
    meta, keep = scripts.call("jobs/follow", first="j", id="late")
    assert json.loads(meta)["task_id"] == "j"
    assert 0 < keep <= 60
    for _ in range(2):
        scripts.call("jobs/tell", id="late", meta=META, keep=keep)
    stored = scripts.redis.get(f"{scripts.prefix}celery-task-meta-late")
    assert json.loads(str(stored)) == {
        "task_id": "late",
        "children": [],
        **json.loads(META),
    }


@pytest.mark.parametrize("priority", QUEUES)
def test_each_priority_has_the_queue_that_workers_listen_to(
    scripts: Scripts, priority: str
) -> None:
    scripts.submit(priority=priority)
    assert len(scripts.bells(QUEUES[priority])) == 1  # type: ignore[index]
    assert scripts.shelves() == {f"queued:{priority}"}


def test_what_is_put_in_front_takes_the_time_of_the_bell_that_was_next(scripts: Scripts) -> None:
    scripts.submit("first")
    fence = scripts.job("running", "held")
    for garbage in ("[1]", "null", '{"headers": {"rung": ["x"]}}', "[" * 5000, '{"rung": "1"}'):
        scripts.redis.rpush(f"{scripts.prefix}b2jobs", garbage)
    rung = scripts.redis.zscore(scripts.key("queued:normal"), "first")

    scripts.call("jobs/hand_back", id="held", fence=fence)

    assert scripts.redis.zscore(scripts.key("queued:normal"), "held") == rung
    last = scripts.redis.lindex(f"{scripts.prefix}b2jobs", -1)
    assert json.loads(str(last))["headers"]["id"] == "held"


@pytest.mark.parametrize(
    ("script", "before", "setting"),
    [("jobs/cancel", "queued", 111), ("jobs/refuse", "none", 222)],
)
def test_what_no_worker_ends_is_kept_as_long_as_workers_say(
    scripts: Scripts, script: str, before: str, setting: int
) -> None:
    # Jobs cancelled before they start, and refused ones, stayed a day whatever the settings said.
    lead = {"token": "t", "lead": 5, "worker": "w"}
    scripts.call("keeper/lead", **lead, results=111, failures=222)
    scripts.job(before, key="k")
    given = {"kind": "upload", "request": "{}", "failure": FAILURE, "meta": META}
    scripts.call(script, id="j", **given)
    keys = [scripts.key("job:j"), f"{scripts.prefix}celery-task-meta-j"]
    if before != "none":
        keys.append(scripts.key("key:k"))
    assert {key: scripts.redis.ttl(key) for key in keys} == dict.fromkeys(keys, setting)


def test_without_any_worker_failures_are_kept_a_week_and_the_rest_a_day(scripts: Scripts) -> None:
    given = {"kind": "upload", "request": "{}", "failure": FAILURE, "meta": META}
    scripts.call("jobs/refuse", id="r", **given)
    scripts.job("queued", "c")
    scripts.call("jobs/cancel", id="c", failure=FAILURE, meta=META)
    kept = [scripts.redis.ttl(scripts.key(f"job:{id}")) for id in "rc"]
    assert kept == [7 * 86_400, 86_400]
