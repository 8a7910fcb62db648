"""Who ends a job takes the next one in the same step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from b2jobs.redis import QUEUES
from support.scripts import Scripts


def end_and_take(scripts: Scripts, queues: list[str] | None = None, **more: Any) -> list[Any]:
    """End a job of its own; the id of the one that was taken and what is said of it, or nothing."""
    scripts.submit("first")
    fence = scripts.claim("first")[1]
    scripts.redis.lrem(f"{scripts.prefix}b2jobs", 1, bell_of(scripts, "first"))
    wanted = {
        "queues": [*QUEUES.values()] if queues is None else queues,
        "kinds": ",upload,copy,",
        **{"worker": "w", "lease": 60, "random": "n", "longest": 1024},
        **more,
    }
    ended, strays, *taken = scripts.finish("first", fence, next=wanted)
    assert (ended, strays) == ("ended", [])
    assert scripts.state("first") == "succeeded"
    return taken


def bell_of(scripts: Scripts, id: str) -> str:
    lists = scripts.redis.lrange(f"{scripts.prefix}b2jobs", 0, -1)
    return next(text for text in lists if json.loads(text)["headers"]["id"] == id)


def test_it_is_taken_as_by_its_doorbell(scripts: Scripts) -> None:
    scripts.submit("second", request='{"a": 1}')
    job, claim = end_and_take(scripts)
    assert (job, claim[:5]) == ("second", ["claimed", "1:n", "1", "upload", '{"a": 1}'])
    assert (scripts.state("second"), scripts.shelves("second")) == ("running", {"running"})
    assert scripts.bells() == []
    assert scripts.beat("second", "1:n") == "ok"


def test_the_most_urgent_queue_of_those_that_are_served_comes_first(scripts: Scripts) -> None:
    for priority in ("low", "normal", "high"):
        scripts.submit(priority, priority=priority)
    assert end_and_take(scripts)[0] == "high"


def test_a_queue_that_is_not_served_is_left_alone(scripts: Scripts) -> None:
    scripts.submit("second")
    assert end_and_take(scripts, ["b2jobs.high"]) == []
    assert scripts.state("second") == "queued"
    assert [bell["headers"]["id"] for bell in scripts.bells()] == ["second"]


def test_bells_of_what_is_not_queued_any_more_are_passed_over(scripts: Scripts) -> None:
    for n in range(5):
        scripts.job("succeeded", f"old{n}")  # whose bell nobody has taken
    scripts.submit("second")
    assert end_and_take(scripts)[0] == "second"
    assert scripts.bells() == []


def test_there_is_an_end_to_what_is_passed_over(scripts: Scripts) -> None:
    for n in range(40):
        scripts.job("succeeded", f"old{n}")
    assert end_and_take(scripts) == []
    assert len(scripts.bells()) == 40 - 16


def test_an_expired_one_is_named_for_its_taker_to_end(scripts: Scripts) -> None:
    scripts.submit("second", expires=-1)
    assert end_and_take(scripts) == ["second", ["expired"]]
    assert scripts.claim("second") == ["expired"]
    assert scripts.state("second") == "failed"


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        '{"headers": {"task": "b2jobs.upload", "id": "x"}}',  # plain Celery's
        '{"headers": {"task": "celery.chord", "id": "x", "rung": "1"}}',
        '{"headers": {"task": "b2jobs.newer", "id": "x", "rung": "1"}}',
        '{"headers": {"task": "b2jobs.upload", "id": 5, "rung": "1"}}',
        json.dumps({"headers": {"task": "b2jobs.upload", "id": "x" * 9000, "rung": "1"}}),
    ],
)
def test_what_is_no_doorbell_of_a_known_kind_is_left_to_celery(
    scripts: Scripts, message: str
) -> None:
    scripts.submit("second")
    scripts.redis.rpush(f"{scripts.prefix}b2jobs", message)
    assert end_and_take(scripts) == []
    left = scripts.redis.lrange(f"{scripts.prefix}b2jobs", 0, -1)
    assert (len(left), left[-1]) == (2, message)


def test_a_queue_that_somebody_overwrote_keeps_no_job_from_ending(scripts: Scripts) -> None:
    scripts.redis.set(f"{scripts.prefix}b2jobs.high", "text")
    scripts.submit("second")
    assert end_and_take(scripts, ["b2jobs.high", "b2jobs"]) == []


def test_a_broken_record_keeps_no_job_from_ending(scripts: Scripts) -> None:
    scripts.submit("second")
    scripts.redis.hset(scripts.key("job:second"), "attempts", "many")
    assert end_and_take(scripts) == []
    assert scripts.state("second") == "failed"  # and says that its record is broken


def test_who_does_not_own_a_job_takes_no_other(scripts: Scripts) -> None:
    scripts.job("running", "first")
    scripts.submit("second")
    wanted = {"queues": ["b2jobs"], "kinds": ",upload,", "worker": "w", "lease": 60}
    said = scripts.finish("first", "1:z", next={**wanted, "random": "n", "longest": 99})
    assert said == ["lost", []]
    assert scripts.state("second") == "queued"
