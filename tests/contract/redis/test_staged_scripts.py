"""Staged bytes: nobody's, then a job's until it ends; counted, and swept where nobody has them."""

from __future__ import annotations

from typing import Any

import pytest

import b2jobs
from support.scripts import FAILURE, META, Scripts

PIECES = (b"first", b"the second")
SIZE = sum(map(len, PIECES))
MINE = {"staged": "s", "staged_bytes": SIZE}


def put(scripts: Scripts, number: int, piece: bytes, id: str = "s", **more: Any) -> list[Any]:
    given = {"id": id, "number": number, "most": 100, "all": 1000, **more}
    answer: list[Any] = scripts.call("staged/put", piece, **given)
    return answer


def stage(scripts: Scripts, id: str = "s") -> None:
    for number, piece in enumerate(PIECES):
        assert put(scripts, number, piece, id)[0] == "ok"


def held(scripts: Scripts) -> int:
    """The bytes that are counted; what lies in the keys is the same."""
    counted = int(scripts.redis.get(scripts.key("staged_bytes")) or 0)
    sizes = scripts.redis.hgetall(scripts.key("staged"))
    assert counted == sum(map(int, sizes.values()))
    assert set(sizes) == set(scripts.redis.zrange(scripts.key("staging"), 0, -1))
    for id, size in sizes.items():
        pieces = scripts.redis.hgetall(scripts.key(f"staged:{id}"))
        pieces.pop("job")
        assert sum(map(len, pieces.values())) == int(size)
    there = {key.rsplit(":", 1)[-1] for key in scripts.redis.scan_iter(scripts.key("staged:*"))}
    assert there == set(sizes)
    return counted


def make_due(scripts: Scripts, id: str = "s") -> None:
    scripts.redis.zadd(scripts.key("staging"), {id: 1})


def sweep(scripts: Scripts) -> int:
    return int(scripts.call("keeper/sweep_staged", most=10))


def end(scripts: Scripts, how: str) -> None:
    """End the job `j` in one of the ways a job can."""
    if how == "cancelled before it began":
        scripts.call("jobs/cancel", id="j", failure=FAILURE, meta=META)
    elif how == "expired":
        scripts.redis.hset(scripts.key("job:j"), "expires", "1")
        assert scripts.claim()[0] == "expired"
    else:
        scripts.finish("j", scripts.claim()[1], how)


@pytest.mark.parametrize(
    "how", ["succeeded", "failed", "cancelled", "cancelled before it began", "expired"]
)
def test_they_are_gone_the_moment_their_job_ends(scripts: Scripts, how: str) -> None:
    stage(scripts)
    assert scripts.submit(**MINE) == "j"
    assert held(scripts) == SIZE
    assert scripts.redis.ttl(scripts.key("staged:s")) == -1

    end(scripts, how)

    assert held(scripts) == 0


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
def test_they_stay_while_the_job_goes_on(scripts: Scripts, state: str) -> None:
    stage(scripts)
    scripts.job(state, **MINE)
    make_due(scripts)

    assert [sweep(scripts), sweep(scripts)] == [1, 0]

    assert held(scripts) == SIZE


def test_what_a_dead_producer_left_is_swept(scripts: Scripts) -> None:
    stage(scripts)
    assert 0 < scripts.redis.ttl(scripts.key("staged:s")) <= 600
    assert sweep(scripts) == 0
    make_due(scripts)

    assert sweep(scripts) == 1

    assert held(scripts) == 0


def test_without_a_worker_the_next_producer_sweeps(scripts: Scripts) -> None:
    stage(scripts, "dead")
    make_due(scripts, "dead")

    stage(scripts)

    assert held(scripts) == SIZE


def test_what_expired_by_itself_is_counted_no_more(scripts: Scripts) -> None:
    stage(scripts)
    scripts.redis.delete(scripts.key("staged:s"))
    make_due(scripts)

    sweep(scripts)

    assert held(scripts) == 0


def test_a_job_whose_record_was_lost_keeps_nothing(scripts: Scripts) -> None:
    stage(scripts)
    scripts.submit(**MINE)
    scripts.redis.delete(scripts.key("job:j"))
    make_due(scripts)

    sweep(scripts)

    assert held(scripts) == 0


@pytest.mark.parametrize("missing", ["all", "a piece", "other"])
def test_a_job_is_refused_when_its_bytes_are_not_there(scripts: Scripts, missing: str) -> None:
    if missing != "all":
        put(scripts, 0, PIECES[0])
    if missing == "other":
        put(scripts, 1, PIECES[1])
        scripts.submit("other", **MINE)

    assert scripts.call("jobs/submit", **SUBMIT, **MINE) is None

    assert scripts.state() == "none"
    assert scripts.state("other") == ("queued" if missing == "other" else "none")


SUBMIT = {
    **{"id": "j", "kind": "upload", "priority": "normal"},
    **{"request": "{}", "retry": 60, "delay": 0},
}


def test_the_same_submit_again_changes_nothing(scripts: Scripts) -> None:
    stage(scripts)
    assert [scripts.submit(key="k", **MINE) for _ in range(2)] == ["j", "j"]
    assert held(scripts) == SIZE


@pytest.mark.parametrize("taken", [{"key": "k"}, {"id": "j"}])
def test_nothing_stays_when_there_is_a_job_already(scripts: Scripts, taken: dict[str, str]) -> None:
    scripts.submit(**{"id": "j", **taken})
    stage(scripts)

    assert scripts.submit(**{"id": "new", **taken}, **MINE) == "j"

    assert held(scripts) == 0


def test_a_piece_that_is_sent_twice_counts_once(scripts: Scripts) -> None:
    stage(scripts)
    put(scripts, 1, PIECES[1])
    assert held(scripts) == SIZE


def test_pieces_come_too_late_for_what_was_swept_or_submitted(scripts: Scripts) -> None:
    assert put(scripts, 1, b"late")[0] == "gone"
    stage(scripts)
    scripts.submit(**MINE)
    assert put(scripts, 0, b"later")[0] == "gone"
    assert put(scripts, 2, b"later")[0] == "gone"
    scripts.call("staged/drop", id="s")
    assert held(scripts) == SIZE


def test_the_lower_limit_counts_and_nothing_is_written_beyond_it(scripts: Scripts) -> None:
    assert put(scripts, 0, b"x" * 11, most=10) == ["too_large", 10]
    assert put(scripts, 0, b"x" * 11, all=10) == ["full", 10]
    lead = {"lead": 60, "results": 1, "failures": 1, "token": "t", "worker": "w"}
    scripts.call("keeper/lead", **lead, staged=0, staged_most=5, staged_all=7)
    assert put(scripts, 0, b"x" * 6) == ["too_large", 5]
    assert put(scripts, 0, b"x" * 5)[0] == "ok"
    assert put(scripts, 0, b"x" * 3, "other") == ["full", 7]
    assert put(scripts, 0, b"x" * 3, "other", all=0) == ["full", 7]
    # Bytes that came in a message are in Redis already, and are never refused for room.
    assert put(scripts, 0, b"x" * 3, "other", all=None)[0] == "ok"
    assert held(scripts) == 8


def test_without_a_number_it_is_half_of_what_redis_may_have(own_scripts: Scripts) -> None:
    assert put(own_scripts, 0, b"x", most=2**40, all=0)[0] == "ok"
    own_scripts.redis.config_set("maxmemory", 40_000_000)
    piece = b"x" * 9_000_000
    assert put(own_scripts, 0, piece, "a", most=2**40, all=0)[0] == "ok"
    assert put(own_scripts, 1, piece, "a", most=2**40, all=0)[0] == "ok"
    assert put(own_scripts, 2, piece, "a", most=2**40, all=0) == ["full", 20_000_000]


def test_those_of_a_failed_job_are_kept_for_a_retry_where_the_workers_say_so(
    scripts: Scripts,
) -> None:
    lead = {"lead": 60, "results": 1, "failures": 1, "token": "t", "worker": "w"}
    scripts.call("keeper/lead", **lead, staged=60, staged_most=1000, staged_all=1000)
    stage(scripts)
    scripts.job("failed", **MINE)
    assert held(scripts) == SIZE

    assert scripts.call("jobs/retry", id="j") == "queued"
    scripts.finish("j", scripts.claim()[1], "failed")
    make_due(scripts)
    sweep(scripts)

    assert held(scripts) == 0
    assert scripts.call("jobs/retry", id="j") == "bytes_gone"
    assert scripts.state() == "failed"


def test_what_a_line_of_a_batch_keeps_is_there_until_so_long_after_the_batchs_end(
    scripts: Scripts,
) -> None:
    lead = {"lead": 60, "results": 1, "failures": 1, "token": "t", "worker": "w"}
    scripts.call("keeper/lead", **lead, staged=60, staged_most=1000, staged_all=1000)
    fence = scripts.job("running", "j", kind="batch")
    stage(scripts)
    scripts.call("staged/keep", id="s", owner="j")
    scripts.call("staged/keep", id="s", owner="another")
    scripts.call("staged/drop", id="s", owner="another")
    scripts.call("staged/drop", id="s")
    make_due(scripts)
    sweep(scripts)
    assert held(scripts) == SIZE, "its batch goes on"

    scripts.finish("j", fence, "failed")
    make_due(scripts)
    sweep(scripts)
    assert held(scripts) == SIZE, "its batch may be run again"

    scripts.redis.hincrbyfloat(scripts.key("job:j"), "ended", -61)
    make_due(scripts)
    sweep(scripts)
    assert held(scripts) == 0


def test_what_a_line_keeps_goes_when_it_is_done(scripts: Scripts) -> None:
    stage(scripts)
    scripts.call("staged/keep", id="s", owner="j")
    assert scripts.redis.ttl(scripts.key("staged:s")) == -1

    scripts.call("staged/drop", id="s", owner="j")

    assert held(scripts) == 0


def test_a_full_redis_ends_jobs_and_frees_their_bytes(own_scripts: Scripts) -> None:
    stage(own_scripts)
    fence = own_scripts.job("running", **MINE)
    own_scripts.redis.config_set("maxmemory", 1)
    with pytest.raises(b2jobs.QueueUnavailable):
        put(own_scripts, 0, b"x", "new")

    own_scripts.finish("j", fence)

    assert held(own_scripts) == 0


def test_a_sweep_takes_a_bounded_piece_in_each_call(scripts: Scripts) -> None:
    for number in range(15):
        put(scripts, 0, b"x", f"s{number}")
    for number in range(15):
        make_due(scripts, f"s{number}")
    assert [sweep(scripts), sweep(scripts), sweep(scripts)] == [10, 5, 0]
    assert held(scripts) == 0
