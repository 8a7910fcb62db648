"""Each script of a batch or a pack alone: in each state, refused, called twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from b2jobs_worker.batch.ledger.packs import MOST_NEW_PACKS
from b2jobs_worker.batch.plan.packing import MOST_ITEMS
from support.scripts import FAILURE, LIMIT_MS, META, STATES, Scripts, milliseconds

JOB = {"kind": "pack", "priority": "normal", "request": "{}", "retry": 1e9}
PACK = "b.p000001"
OUTCOME = [0, '["line"]', "done", "", "5"]


def plan(scripts: Scripts, fence: str, *raw: bytes, **more: Any) -> int:
    given = {"fields": {}, "counts": {}, "segments": [], "closed": [], "packs": []}
    return int(scripts.call("batches/plan", *raw, id="b", fence=fence, **{**given, **more}))


def rest(scripts: Scripts, fence: str, reason: str = "window", low: int = 0) -> int:
    return int(scripts.call("batches/rest", id="b", fence=fence, reason=reason, delay=60, low=low))


def record(scripts: Scripts, fence: str, *outcomes: list[Any], **more: Any) -> str:
    given = {"batch": "b", "calls": {}, "dollars": "0", "outcomes": outcomes}
    return str(scripts.call("packs/record", pack=PACK, fence=fence, **{**given, **more}))


def counter(scripts: Scripts, name: str) -> str | None:
    found = scripts.redis.hget(scripts.key("batch:b"), name)
    return None if found is None else str(found)


def under_way(scripts: Scripts, packs: int = 1) -> tuple[str, str]:
    """A batch whose planner runs with packs under way, of which the first runs; their fences."""
    fence = scripts.job("running", "b", kind="batch")
    named = [{"number": n, "id": f"b.p{n:06}", "job": JOB} for n in range(1, packs + 1)]
    assert plan(scripts, fence, *([b"items"] * packs), fields={"cursor": "1"}, packs=named) == 1
    return fence, scripts.claim(PACK)[1]


# A planner that had just come to rest was taken back by its own heartbeat, since its fence was
# left in the record, and then lay there for a lease with nobody at it.
@pytest.mark.parametrize("woken", [False, True])
def test_a_planner_at_rest_is_not_taken_back_by_its_own_heartbeat(
    scripts: Scripts, woken: bool
) -> None:
    fence, _ = under_way(scripts)
    if woken:
        scripts.call("batches/pause", id="b")
    assert rest(scripts, fence) == 1
    state = scripts.state("b")
    assert state == ("queued" if woken else "waiting")
    assert scripts.beat("b", fence) == "lost"
    assert scripts.state("b") == state
    scripts.call("batches/wake_packs", id="b", after=-1)
    scripts.call("batches/pause", id="b")
    assert scripts.claim("b")[0] == "claimed"


def test_a_paused_pack_is_not_taken_back_by_its_own_heartbeat(scripts: Scripts) -> None:
    _, fence = under_way(scripts)
    scripts.call("batches/pause", id="b")
    for answer in (1, 0):
        assert scripts.call("packs/pause", pack=PACK, fence=fence, batch="b") == answer
    assert scripts.beat(PACK, fence) == "lost"
    assert (scripts.state(PACK), scripts.field("reason", PACK)) == ("waiting", "paused")
    assert scripts.call("batches/resume", id="b") == "running"
    assert scripts.state(PACK) == "queued"
    assert scripts.claim(PACK)[0] == "claimed"


def test_a_pack_whose_batch_goes_on_by_now_is_queued_again(scripts: Scripts) -> None:
    _, fence = under_way(scripts)
    assert scripts.call("packs/pause", pack=PACK, fence=fence, batch="b") == 1
    assert scripts.state(PACK) == "queued"


@pytest.mark.parametrize("packs", [0, 1, 2])
def test_a_planner_rests_until_few_packs_are_under_way(scripts: Scripts, packs: int) -> None:
    fence = scripts.job("running", "b", kind="batch")
    named = [{"number": n, "id": f"b.p{n}", "job": JOB} for n in range(packs)]
    plan(scripts, fence, *([b"x"] * packs), packs=named)
    assert [rest(scripts, fence, low=1) for _ in range(2)] == [1, 0]
    assert scripts.state("b") == ("waiting" if packs > 1 else "queued")
    assert scripts.shelves("b") == {"waiting" if packs > 1 else "queued:normal"}


FENCED: dict[str, dict[str, Any]] = {
    "batches/note": {"id": "b", "fields": {"x": "1"}},
    "batches/plan": {
        **{"id": "b", "fields": {"x": "1"}, "counts": {}, "segments": []},
        **{"closed": [], "packs": []},
    },
    "batches/rest": {"id": "b", "reason": "window", "delay": 60, "low": 0},
    "batches/page": {"id": "b", "number": 0, "most": 1, "keep": 60, "notes": {"at": "1"}},
    "batches/finish": {"id": "b", "state": "succeeded", "result": "{}", "meta": META, "keep": 60},
    "packs/record": {"pack": PACK, "batch": "b", "calls": {}, "dollars": "0", "outcomes": []},
    "packs/seal": {"pack": PACK, "batch": "b", "number": 1},
    "packs/pause": {"pack": PACK, "batch": "b"},
}


@pytest.mark.parametrize("state", ["none", *STATES])
@pytest.mark.parametrize("script", FENCED)
def test_nothing_but_the_owner_acts_in_any_state(scripts: Scripts, script: str, state: str) -> None:
    id = "b" if script.startswith("batches/") else PACK
    scripts.job(state, id)
    before = scripts.redis.hgetall(scripts.key(f"job:{id}"))
    for fence in ("", "1:other"):
        answer = scripts.call(script, b"", fence=fence, **FENCED[script])
        assert answer in (0, "lost", ["lost", []])
    assert scripts.redis.hgetall(scripts.key(f"job:{id}")) == before
    assert not scripts.redis.exists(scripts.key("batch:b"))


def test_a_step_of_the_plan_is_written_as_a_whole(scripts: Scripts) -> None:
    fence, _ = under_way(scripts)
    named = [{"number": 2, "id": "b.p000002", "job": JOB}]
    # Sizes above 2**53 keep their digits: they travel as text.
    counts = {"planned": "1", "planned_bytes": str(2**53 + 1)}
    for _ in range(2):
        more = {"fields": {"cursor": 'a"b'}, "segments": [7, 8], "closed": [PACK]}
        assert plan(scripts, fence, b"\x00\xff", b"", b"new", counts=counts, packs=named, **more)
    assert counter(scripts, "cursor") == 'a"b'
    assert counter(scripts, "planned_bytes") == str(2 * (2**53 + 1))
    assert scripts.redis.hlen(scripts.key("batch:b:ledger")) == 1
    assert scripts.redis.zrange(scripts.key("batch:b:packs"), 0, -1) == ["b.p000002"]
    assert scripts.redis.get(scripts.key("pack:b.p000002")) == "new"
    assert (scripts.state(PACK), scripts.shelves(PACK)) == ("none", set())
    assert scripts.field("retry", "b.p000002") == "1000000000"


def test_an_outcome_counts_once(scripts: Scripts) -> None:
    _, fence = under_way(scripts)
    big = [1, "[2]", "failed", "x", str(2**53 + 1)]
    again = [2, "[3]", "again", "", "0"]
    for _ in range(2):
        assert record(scripts, fence, OUTCOME, big, again, calls={"a": 2}, dollars="0.5") == "ok"
    found = {name: counter(scripts, name) for name in ("n:done", "n:failed", "code:x", "calls_a")}
    assert found == {"n:done": "1", "n:failed": "1", "code:x": "1", "calls_a": "4"}
    assert counter(scripts, "moved_bytes") == str(2**53 + 6)
    assert counter(scripts, "dollars") == "1"
    assert scripts.redis.hgetall(scripts.key(f"outcomes:{PACK}")) == {
        "0": '["line"]',
        "1": "[2]",
        "t2": "[3]",
    }


@pytest.mark.parametrize("happened", ["pause", "cancel", "gone"])
def test_a_pack_learns_how_its_batch_stands(scripts: Scripts, happened: str) -> None:
    _, fence = under_way(scripts)
    match happened:
        case "pause":
            scripts.call("batches/pause", id="b")
        case "cancel":
            scripts.call("jobs/cancel", id="b", failure=FAILURE, meta=META)
        case "gone":
            scripts.redis.delete(scripts.key("job:b"))
    said = {"pause": "paused", "cancel": "cancel", "gone": "cancel"}[happened]
    assert record(scripts, fence, OUTCOME) == said


def test_a_sealed_pack_leaves_its_segment_and_wakes_the_planner(scripts: Scripts) -> None:
    batch, fence = under_way(scripts)
    record(scripts, fence, OUTCOME)
    rest(scripts, batch)
    assert scripts.call("packs/disown", pack=PACK, made=[[1, "v1"]]) == ["left"]
    given = {"pack": PACK, "fence": fence, "batch": "b", "number": 1}
    assert scripts.call("packs/seal", b"segment", **given) == ["sealed", ["1 v1"]]
    assert scripts.call("packs/seal", b"segment", **given) == ["lost", []]
    assert scripts.redis.hgetall(scripts.key("batch:b:ledger")) == {"1": "segment"}
    assert counter(scripts, "ledger_bytes") == "7"
    assert scripts.state("b") == "queued"
    left = scripts.redis.keys(f"{scripts.prefix}*{PACK}*")
    assert left == []


def test_what_became_of_disowned_items(scripts: Scripts) -> None:
    _, fence = under_way(scripts)
    record(scripts, fence, OUTCOME)
    made = [[0, "v0"], [5, "v5"]]
    for _ in range(2):
        assert scripts.call("packs/disown", pack=PACK, made=made) == ['["line"]', "left"]
    assert scripts.redis.smembers(scripts.key(f"strays:{PACK}")) == {"5 v5"}
    assert scripts.call("packs/disown", pack="b.p9", made=made) == ["sealed", "sealed"]
    assert scripts.call("packs/disown", pack=PACK, made=[]) == []


@pytest.mark.parametrize("failed", [False, True])
def test_the_end_of_a_batch(scripts: Scripts, failed: bool) -> None:
    fence, _ = under_way(scripts)
    said = {"state": "failed", "failure": FAILURE} if failed else {"state": "succeeded"}
    given = {"result": '{"n": 1}', "meta": META, "keep": 60}
    for answer in (1, 0):
        assert scripts.call("batches/finish", id="b", fence=fence, **said, **given) == answer
    assert scripts.field("result", "b") == '{"n": 1}'
    assert (scripts.field("failure", "b") != "") == failed
    assert 0 < scripts.redis.ttl(scripts.key("batch:b")) <= 60


@pytest.mark.parametrize("state", ["none", *STATES])
def test_steering_a_batch_in_every_state(scripts: Scripts, state: str) -> None:
    scripts.job(state, "b", kind="batch")
    said = "" if state == "none" else state
    is_over = state in ("none", "succeeded", "failed", "cancelled")
    assert [scripts.call("batches/pause", id="b") for _ in range(2)] == [said, said]
    assert (counter(scripts, "paused") == "1") != is_over
    answers = [scripts.call("batches/resume", id="b") for _ in range(2)]
    assert answers == [said, said]
    assert counter(scripts, "paused") is None
    again = [scripts.call("batches/retry", id="b", again="{}") for _ in range(2)]
    assert again == (["queued", "queued"] if state in STATES[3:] else [said, said])


@pytest.mark.parametrize("state", ["none", *STATES])
def test_feeding_in_every_state(scripts: Scripts, state: str) -> None:
    scripts.job(state, "b")
    takes = state in STATES[:3]
    said = "unknown" if state == "none" else state
    answers = [
        scripts.call("batches/feed", b"\xff", id="b", number=number, most=2) for number in (0, 1, 2)
    ]
    assert answers == (["fed", "fed", "full"] if takes else [said] * 3)
    ends = [scripts.call("batches/feed_end", id="b", number=2) for _ in range(2)]
    assert ends == (["fed", "fed"] if takes else [said] * 2)
    assert counter(scripts, "fed_all") == ("2" if takes else None)


def test_a_retried_batch_keeps_its_ledger(scripts: Scripts) -> None:
    fence, _ = under_way(scripts)
    plan(scripts, fence, b"segment", segments=[1])
    scripts.call("batches/finish", id="b", fence=fence, state="failed", failure=FAILURE,
                 result="{}", meta=META, keep=60)  # fmt: skip
    asked = json.dumps({"codes": [], "only_failed": True})
    assert scripts.call("batches/retry", id="b", again=asked) == "queued"
    assert counter(scripts, "again") == asked
    keys = [scripts.key("job:b"), scripts.key("batch:b"), scripts.key("batch:b:ledger")]
    assert [scripts.redis.ttl(key) for key in keys] == [-1, -1, -1]
    assert scripts.field("result", "b") == ""


def waiting_packs(scripts: Scripts, count: int) -> None:
    """Packs of `b` that wait since it is paused."""
    pipe = scripts.redis.pipeline(transaction=False)
    for n in range(count):
        named = {"id": f"b.p{n:06}", "kind": "pack", "priority": "normal", "state": "waiting"}
        pipe.hset(scripts.key(f"job:b.p{n:06}"), mapping={**named, "reason": "paused"})
        pipe.zadd(scripts.key("waiting"), {f"b.p{n:06}": 1e12})
        pipe.zadd(scripts.key("batch:b:packs"), {f"b.p{n:06}": n})
    pipe.execute()


def test_many_packs_are_woken_a_hundred_at_a_time(scripts: Scripts) -> None:
    scripts.job("running", "b", kind="batch")
    waiting_packs(scripts, 250)
    scripts.call("batches/pause", id="b")
    scripts.call("batches/resume", id="b")
    assert (len(scripts.bells()), counter(scripts, "resumed")) == (1 + 100, "99")
    assert scripts.field("wake", "b") == "1", "the planner wakes the others"
    assert scripts.call("batches/wake_packs", id="b", after="99", reason="other") == "199"
    assert scripts.call("batches/wake_packs", id="b", after="99", reason="paused") == "199"
    assert scripts.call("batches/wake_packs", id="b", after="199", reason="paused") == ""
    assert len(scripts.bells()) == 1 + 250
    assert scripts.call("batches/wake_packs", id="b", after="249") == ""


def test_the_plan_of_a_sync_is_kept_by_its_owner_alone(scripts: Scripts) -> None:
    fence = scripts.job("running", "b", kind="sync")
    for chunks in ([b"1", b"2"], [b"\xff", b"4"]):
        assert scripts.call("batches/spool", *chunks, id="b", fence=fence, keep=60) == 1
    assert scripts.call("batches/spool", b"5", id="b", fence="0:r", keep=60) == 0
    key = scripts.key("sync-plan:b")
    assert scripts.redis.execute_command("LRANGE", key, 0, -1, NEVER_DECODE=True) == [b"\xff", b"4"]  # type: ignore[no-untyped-call]
    assert 0 < scripts.redis.ttl(key) <= 60


def test_waking_many_packs_holds_nobody_up(own_scripts: Scripts) -> None:
    # 4,096 of them, as many as may be under way, were woken in one call.
    own_scripts.job("running", "b", kind="batch")
    waiting_packs(own_scripts, 4096)
    after = ["-1"]

    def woken() -> bool:
        after.append(own_scripts.call("batches/wake_packs", id="b", after=after[-1]))
        return after[-1] != ""

    assert milliseconds(own_scripts, woken) < LIMIT_MS


def test_the_outcomes_of_a_whole_pack_hold_nobody_up(own_scripts: Scripts) -> None:
    _, fence = under_way(own_scripts)
    line = json.dumps(["b2://some-bucket/" + "x" * 200] * 3)
    base = iter(range(10))

    def recorded() -> bool:
        first = next(base) * MOST_ITEMS
        found = [[first + n, line, "failed", f"code{n}", "5"] for n in range(MOST_ITEMS)]
        return record(own_scripts, fence, *found) == "ok"

    assert milliseconds(own_scripts, recorded) < LIMIT_MS


def test_the_largest_step_of_a_plan_holds_nobody_up(own_scripts: Scripts) -> None:
    packs = MOST_NEW_PACKS
    fence, _ = under_way(own_scripts)
    base = iter(range(1, 10))

    def planned() -> bool:
        first = next(base) * packs
        names = [
            {"number": first + n, "id": f"b.p{first + n:06}", "job": JOB} for n in range(packs)
        ]
        return bool(plan(own_scripts, fence, *([b"items" * 40] * packs), packs=names))

    assert milliseconds(own_scripts, planned) < LIMIT_MS


def test_a_page_is_handed_over_once_and_noted_in_the_same_step(scripts: Scripts) -> None:
    fence = scripts.job("running", "b", kind="list")

    def page(number: int, content: bytes) -> Any:
        given = {"number": number, "most": 1, "keep": 60, "notes": {"at": f"behind {number}"}}
        return scripts.call("batches/page", content, id="b", fence=fence, **given)

    feed, journal = scripts.key("batch:b:feed"), scripts.key("journal:b")
    assert page(0, b"first") == "fed"
    assert float(page(1, b"second")) >= 0
    assert scripts.redis.hget(journal, "at") == "behind 0"
    assert scripts.redis.hdel(feed, "0") == 1
    # The answer was lost, the reader has it already: it does not come again.
    assert page(0, b"first") == "fed"
    assert scripts.redis.hgetall(feed) == {}
    assert page(1, b"second") == "fed"
    assert scripts.redis.hgetall(feed) == {"1": "second"}
    assert 0 < int(scripts.redis.ttl(feed)) <= 60
    assert scripts.redis.hget(journal, "full_since") is None
