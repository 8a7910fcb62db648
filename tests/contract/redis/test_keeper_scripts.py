"""What keepers do, a bounded piece in each call; garbage in a queue stops none of it."""

from __future__ import annotations

import json
import time
from itertools import count

import pytest

from b2jobs_worker.delivery.keeper import FORWARD_MOST, MOST_PER_CALL, Keeper
from b2jobs_worker.settings import Settings
from support.scripts import FAILURE, LIMIT_MS, META, Scripts, milliseconds


def message(task: object, number: int = 0) -> str:
    headers = {"task": task, "id": str(number), "argsrepr": "()" * 50}
    return json.dumps({"body": "x" * 600, "headers": headers, "properties": {"number": number}})


def queue(scripts: Scripts, name: str) -> list[str]:
    return [str(each) for each in scripts.redis.lrange(f"{scripts.prefix}{name}", 0, -1)]


def forward(scripts: Scripts, most: int = 200) -> int:
    return int(scripts.call("keeper/forward", queue="celery", most=most))


# Garbage that mentions us, to come past whatever looks at the text first.
GARBAGE = [
    *("b2jobs.", "null", '"b2jobs.upload"', "[1] b2jobs.x", '{"b2jobs.": 1}', "[" * 20_000),
    '{"headers": "b2jobs.upload"}',
    '{"headers": {"task": ["b2jobs.upload"]}}',
    '{"headers": {"task": {"b2jobs.": 1}}}',
    '{"headers": {"task": 1}, "b2jobs.": 1}',
    '{"headers": {}, "b2jobs.": [[]]}',
    '{"headers": {"task": "b2jobs.upload"}',
    '{"headers": {"task": "b2jobs.upload\\u0000"}}',
    '{"headers": {"task": "xb2jobs.upload"}}',
    '{"headers": {"task": "b2jobs."}}',
    message("theirs", 1).replace("()", '\\"task\\": \\"b2jobs.upload\\"'),
    '{"b2jobs.": ' + "[" * 2000 + "]" * 2000 + "}",
]


@pytest.mark.parametrize("suffix", ["", "\x06\x163", "\x06\x167", ":3", ":9"])
def test_ours_are_found_among_garbage_and_the_rest_stays(scripts: Scripts, suffix: str) -> None:
    ours = [message("b2jobs.upload", n) for n in range(3)]
    source = f"{scripts.prefix}celery{suffix}"
    mixed = [ours[0], *GARBAGE, ours[1], *GARBAGE, ours[2]]
    scripts.redis.rpush(source, *mixed)
    scripts.redis.rpush(source, b"b2jobs.\xff\xfe")

    assert [forward(scripts), forward(scripts)] == [3, 0]

    step = int(suffix[-1:] or "0") // 3 * 3
    target = f"{scripts.prefix}b2jobs" + (f"\x06\x16{step}" if step else "")
    assert scripts.redis.lrange(target, 0, -1) == ours
    scripts.redis.ltrim(source, 0, -2)
    assert scripts.redis.lrange(source, 0, -1) == [*GARBAGE, *GARBAGE]


def test_a_key_of_another_type_is_left_alone(scripts: Scripts) -> None:
    scripts.redis.set(f"{scripts.prefix}celery", "theirs")
    scripts.redis.rpush(f"{scripts.prefix}celery:3", message("b2jobs.upload"))
    assert forward(scripts) == 1
    assert scripts.redis.get(f"{scripts.prefix}celery") == "theirs"


def test_two_equal_messages_are_both_moved(scripts: Scripts) -> None:
    scripts.redis.rpush(f"{scripts.prefix}celery", *[message("b2jobs.upload")] * 2)
    assert forward(scripts) == 2
    assert len(queue(scripts, "b2jobs")) == 2


def test_who_leads_and_for_how_long(scripts: Scripts) -> None:
    lead = {"lead": 60, "worker": "w|high", "results": 60, "failures": 70}
    answers = [scripts.call("keeper/lead", token=token, **lead) for token in ("a", "a", "b")]
    assert answers == [1, 1, 0]
    assert scripts.redis.hgetall(scripts.key("retention")) == {"results": "60", "failures": "70"}
    assert scripts.redis.zrange(scripts.key("workers"), 0, -1) == ["w|high"]


def test_who_does_not_lead_does_not_say_how_long_jobs_are_kept(scripts: Scripts) -> None:
    lead = {"lead": 60, "worker": "w"}
    scripts.call("keeper/lead", token="a", **lead, results=60, failures=70)
    scripts.call("keeper/lead", token="b", **lead, results=1, failures=1)
    assert scripts.redis.hget(scripts.key("retention"), "results") == "60"


def test_due_jobs_are_queued_once_a_few_at_a_time(scripts: Scripts) -> None:
    for n in range(3):
        scripts.submit(f"j{n}", delay=0.001)
    scripts.submit("later", delay=600)
    time.sleep(0.002)
    answers = [scripts.call("keeper/ring_due", most=2) for _ in range(3)]
    assert answers == [2, 1, 0]
    assert [bell["headers"]["id"] for bell in scripts.bells()] == ["j0", "j1", "j2"]
    assert scripts.state("later") == "waiting"


@pytest.mark.parametrize("shelf", ["running", "waiting", "queued:normal"])
def test_a_job_whose_record_is_gone_leaves_its_shelf(scripts: Scripts, shelf: str) -> None:
    # It was counted as lost in every round, and kept others from their turn.
    scripts.redis.zadd(scripts.key(shelf), {"gone": 1})
    script = {"running": "take_back", "waiting": "ring_due"}.get(shelf, "ring_unheard")
    scripts.call(f"keeper/{script}", most=5)
    assert scripts.call(f"keeper/{script}", most=5) == 0
    assert scripts.shelves("gone") == set()
    assert scripts.bells() == []


def test_a_lost_job_goes_to_the_front(scripts: Scripts) -> None:
    scripts.submit("lost")
    scripts.claim("lost", lease=0)
    scripts.redis.delete(f"{scripts.prefix}b2jobs")
    scripts.submit("next")
    assert [scripts.call("keeper/take_back", most=9) for _ in range(2)] == [1, 0]
    assert [bell["headers"]["id"] for bell in scripts.bells()] == ["lost", "next"]
    assert scripts.field("lost", "lost") == "1"


def test_an_unheard_bell_is_rung_again_later_and_later(scripts: Scripts) -> None:
    scripts.submit("j")
    queued = scripts.key("queued:normal")
    scripts.redis.delete(f"{scripts.prefix}b2jobs")
    rung = []
    for seconds in (4, 6, 9, 11, 19, 21):
        scripts.redis.zadd(queued, {"j": time.time() - seconds})
        rung.append(scripts.call("keeper/ring_unheard", most=5))
        scripts.redis.delete(f"{scripts.prefix}b2jobs")
    assert rung == [0, 1, 0, 1, 0, 1]


def test_nothing_is_rung_again_while_earlier_bells_lie_in_the_queue(scripts: Scripts) -> None:
    scripts.submit("j")
    scripts.redis.zadd(scripts.key("queued:normal"), {"j": time.time() - 100})
    old = scripts.bells()[0]
    old["headers"]["rung"] = f"{time.time() - 200:.6f}"
    scripts.redis.rpush(f"{scripts.prefix}b2jobs", json.dumps(old))
    assert scripts.call("keeper/ring_unheard", most=5) == 0


def test_what_ended_long_ago_leaves_the_lists_a_few_at_a_time(scripts: Scripts) -> None:
    now = time.time()
    for state in ("succeeded", "cancelled", "failed"):
        ended = {f"{n}": now - 100 - n for n in range(3)}
        scripts.redis.zadd(scripts.key(state), {**ended, "new": now})
        scripts.redis.hset(scripts.key(f"job:{state}"), "state", state)  # a batch, kept longer
        scripts.redis.zadd(scripts.key(state), {state: now - 70})
    answers = [scripts.call("keeper/forget", most=2, results=60, failures=1000) for _ in range(8)]
    assert answers == [2, 2, 2, 2, 2, 2, 0, 0]
    for state in ("succeeded", "cancelled", "failed"):
        assert scripts.redis.zrange(scripts.key(state), 0, -1) == [state, "new"]
    scripts.call("keeper/forget", most=9, results=5, failures=60)
    assert scripts.redis.zrange(scripts.key("succeeded"), 0, -1) == ["new"]


def test_batches_are_listed_open_ones_first_and_forgotten_with_their_records(
    scripts: Scripts,
) -> None:
    failure = '{"code": "x"}'
    scripts.submit("old", kind="batch")
    scripts.submit("single")
    scripts.submit("new", kind="sync")
    scripts.call("jobs/cancel", id="new", failure=failure, meta="{}")
    scripts.submit("newest", kind="batch")
    assert scripts.redis.zrange(scripts.key("batches"), 0, -1, desc=True) == [
        *("newest", "old", "new"),
    ]
    scripts.call("jobs/retry", id="new")
    assert scripts.redis.zrange(scripts.key("batches"), 0, 0, desc=True) == ["new"]
    scripts.redis.zadd(scripts.key("batches"), {"expired": time.time() - 1})
    scripts.call("keeper/forget", most=10, results=60, failures=60)
    assert scripts.redis.zcard(scripts.key("batches")) == 3


def test_one_round_of_a_keeper_rings_for_more_than_a_thousand_due_jobs(
    scripts: Scripts, redis_url: str
) -> None:
    for n in range(1500):
        scripts.submit(f"j{n}", delay=0.001)
    time.sleep(0.002)
    settings = Settings(redis_url=redis_url, key_prefix=scripts.prefix, keep_results_seconds=77)
    assert Keeper(settings, "w@here").round()
    assert len(scripts.bells()) == 1500
    assert scripts.redis.hget(scripts.key("retention"), "results") == "77"


def test_what_lies_beside_our_queues_is_gathered_a_few_at_a_time(scripts: Scripts) -> None:
    beside = [f"{scripts.prefix}b2jobs{suffix}" for suffix in (":3", "\x06\x164", ".high:9")]
    for key in beside:
        scripts.redis.rpush(key, "a", "b")
    scripts.redis.set(f"{scripts.prefix}b2jobs:5", "of another type")
    moved = [scripts.call("keeper/gather", most=4) for _ in range(3)]
    assert moved == [4, 2, 0]
    assert len(queue(scripts, "b2jobs")) + len(queue(scripts, "b2jobs.high")) == 6


# FORWARD held Redis for 1.2 s, since it looked for what is at the front from the end.
def test_a_hundred_thousand_foreign_messages_hold_nobody_up(own_scripts: Scripts) -> None:
    scripts = own_scripts
    foreign = [message("theirs.task", n) for n in range(1000)]
    for _ in range(100):
        scripts.redis.lpush(f"{scripts.prefix}celery", *foreign)
    numbers = count()

    def moved() -> int:
        for push in (scripts.redis.lpush, scripts.redis.rpush):
            ours = [message("b2jobs.upload", next(numbers)) for _ in range(FORWARD_MOST // 2)]
            push(f"{scripts.prefix}celery", *ours)
        scripts.redis.ping()
        return forward(scripts, FORWARD_MOST)

    assert milliseconds(scripts, moved) < 2 * LIMIT_MS  # with what pushing them takes
    assert scripts.redis.llen(f"{scripts.prefix}b2jobs") == next(numbers)


@pytest.mark.parametrize(
    ("script", "state"),
    [("ring_due", "waiting"), ("take_back", "running"), ("ring_unheard", "queued")],
)
def test_many_due_jobs_hold_nobody_up(own_scripts: Scripts, script: str, state: str) -> None:
    scripts = own_scripts
    shelf = scripts.key("queued:normal" if state == "queued" else state)
    pipe = scripts.redis.pipeline(transaction=False)
    for n in range(20_000):
        pipe.zadd(shelf, {f"job-{n}": n})
    for n in range(1000):
        named = {"id": f"job-{n}", "kind": "upload", "priority": "normal", "state": state}
        pipe.hset(scripts.key(f"job:job-{n}"), mapping={**named, "failure": FAILURE, "meta": META})
    pipe.execute()
    most = MOST_PER_CALL[script]  # type: ignore[index]

    taken = milliseconds(scripts, lambda: scripts.call(f"keeper/{script}", most=most) == most)

    assert taken < LIMIT_MS
    assert scripts.redis.llen(f"{scripts.prefix}b2jobs") == 5 * most


def test_many_jobs_that_expire_at_once_hold_nobody_up(own_scripts: Scripts) -> None:
    # 200,000 of them took 848 ms in one call.
    scripts = own_scripts
    for start in range(0, 200_000, 20_000):
        old = {f"job-{n}": n for n in range(start, start + 20_000)}
        scripts.redis.zadd(scripts.key("succeeded"), old)
    most = MOST_PER_CALL["forget"]
    given = {"most": most, "results": 60, "failures": 60}

    taken = milliseconds(scripts, lambda: scripts.call("keeper/forget", **given) == most)

    assert taken < LIMIT_MS
    assert scripts.redis.zcard(scripts.key("succeeded")) == 200_000 - 5 * most


def test_records_of_another_age_hold_nobody_up(own_scripts: Scripts) -> None:
    now = time.time()
    for start in range(0, 50_000, 10_000):
        ended = {f"job-{n}": now - 5000 + n / 100 for n in range(start, start + 10_000)}
        own_scripts.redis.zadd(own_scripts.key("failed"), ended)
    most = MOST_PER_CALL["forget"]
    given = {"most": most, "results": 60, "failures": 86_400}

    taken = milliseconds(own_scripts, lambda: own_scripts.call("keeper/forget", **given) == most)

    assert taken < LIMIT_MS


def test_followers_are_told_a_few_at_a_time_and_all_of_them(own_scripts: Scripts) -> None:
    # All were told in the call that ended the job, 10,000 of them too.
    scripts = own_scripts
    fence = scripts.job("running", "j")
    names = [f"theirs-{n}" for n in range(2000)]
    for name in names:
        scripts.call("jobs/follow", first="j", id=name)
    scripts.finish("j", fence, meta=json.dumps({"status": "SUCCESS", "result": "x"}))

    assert scripts.redis.scard(scripts.key("followers:j")) == 1900
    most = MOST_PER_CALL["tell_followers"]
    told = milliseconds(scripts, lambda: scripts.call("keeper/tell_followers", most=most) == most)
    assert told < LIMIT_MS
    while scripts.call("keeper/tell_followers", most=most):
        pass

    assert not scripts.redis.exists(scripts.key("followers:j"), scripts.key("untold"))
    for name in names:
        found = json.loads(str(scripts.redis.get(f"{scripts.prefix}celery-task-meta-{name}")))
        said = {"task_id": name, "status": "SUCCESS", "result": "x", "children": []}
        assert found == said


def test_jobs_that_wait_for_something_else_are_not_hastened(scripts: Scripts) -> None:
    for reason in ("credentials", "b2"):
        fence = scripts.job("running", reason)
        scripts.call("jobs/park", id=reason, fence=fence, reason=reason, delay=9, failure=FAILURE)
    scripts.job("queued", "queued")
    ids = ["credentials", "b2", "queued", "nobody"]
    assert scripts.call("keeper/hasten", ids=ids, reason="credentials") == 1
    assert scripts.call("keeper/ring_due", most=9) == 1
    assert [scripts.state(each) for each in ids] == ["queued", "waiting", "queued", "none"]


BROKEN: list[dict[str, str] | str] = [
    {"priority": "urgent"},
    {"priority": ""},
    {"kind": ""},
    {"attempts": "many"},
    {"attempts": "1" * 30},
    {"lost": "1.5"},
    {"bells": "x"},
    {"unheard": "x"},
    {"ends": "nan"},
    "no hash",
]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
@pytest.mark.parametrize("state", ["waiting", "running", "queued"])
def test_a_record_that_was_broken_ends_and_stops_no_other(
    scripts: Scripts, state: str, broken: dict[str, str] | str
) -> None:
    # One of them ended the script at each round: no job that waited behind it was rung again.
    for job in ("a-broken", "sound"):
        scripts.job(state, job)
    key = scripts.key("job:a-broken")
    if isinstance(broken, str):
        scripts.redis.set(key, broken)
    else:
        scripts.redis.hset(key, mapping=broken)  # type: ignore[arg-type]  # texts
    shelf = scripts.key("queued:normal" if state == "queued" else state)
    scripts.redis.zadd(shelf, {"a-broken": 1, "sound": 2})
    scripts.redis.delete(f"{scripts.prefix}b2jobs")

    script = {"waiting": "ring_due", "running": "take_back", "queued": "ring_unheard"}[state]
    scripts.call(f"keeper/{script}", most=100)

    assert [bell["headers"]["id"] for bell in scripts.bells()] == ["sound"]
    assert scripts.redis.zscore(shelf, "a-broken") is None
    if isinstance(broken, str):
        assert not scripts.redis.exists(key)
    else:
        assert scripts.shelves("a-broken") == {"failed"}
        assert json.loads(scripts.field("failure", "a-broken"))["code"] == "record_broken"
        result = json.loads(str(scripts.redis.get(f"{scripts.prefix}celery-task-meta-a-broken")))
        assert result["status"] == "FAILURE"
