"""When a thread goes on with the next job by itself, and when Redis is asked of a lease."""

from __future__ import annotations

import time
from typing import Any

import pytest
from celery import signals

from b2jobs_worker.attempt import Interrupted
from b2jobs_worker.celery.task import JobTask, line, register
from b2jobs_worker.delivery.attempt import SURE_SECONDS, JobAttempt
from b2jobs_worker.delivery.claims import Claim


@pytest.fixture
def task() -> Any:
    from celery import Celery

    app = Celery("mine", broker="memory://", set_as_current=False)
    app.conf.task_default_queue = "b2jobs"
    register(app, {"upload": object(), "copy": object()})  # type: ignore[dict-item]  # not run
    app.finalize()
    app.amqp.queues.select(["b2jobs"])
    return app.tasks["b2jobs.upload"]


def test_a_thread_goes_on_with_the_queues_and_kinds_of_its_worker(task: Any) -> None:
    found = line(task)
    assert found is not None
    assert found.queues == ["b2jobs"]
    assert ",upload," in found.kinds
    assert ",copy," in found.kinds
    task.app.amqp.queues.deselect("b2jobs")  # cancel_consumer
    assert line(task).queues == []  # type: ignore[union-attr]  # as above


@pytest.mark.parametrize("name", ["task_prerun", "task_success", "task_failure", "task_retry"])
def test_where_somebody_is_told_by_celerys_signals_each_job_goes_through_celery(
    task: Any, name: str
) -> None:
    signal = getattr(signals, name)

    def hear(**_: Any) -> None: ...

    signal.connect(hear)
    try:
        assert line(task) is None
    finally:
        signal.disconnect(hear)
    assert line(task) is not None


def test_where_celery_sends_events_each_job_goes_through_celery(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobTask, "has_events", staticmethod(lambda: True))
    assert line(task) is None


class Leased:
    """Claims whose Redis answers what it is told to."""

    def __init__(self) -> None:
        self.answer = "ok"
        self.asked = 0

    def still_holds(self, claim: Claim) -> str:
        del claim
        self.asked += 1
        return self.answer

    def may_cancel(self, claim: Claim, signed: object) -> bool:
        del claim, signed
        return True


def attempt(claims: Leased, seconds_ago: float) -> JobAttempt:
    claim = Claim(
        **{"job_id": "j", "fence": "1:r", "attempt": 1, "kind": "upload", "request": "{}"},
        **{"elapsed_seconds": 0.0, "retry_seconds": 1.0, "losses": 0, "is_cancelled": False},
        **{"priority": "normal", "key": "", "signature": "", "is_used_up": False},
        asked_at=time.monotonic() - seconds_ago,
    )
    return JobAttempt(claim, claims)  # type: ignore[arg-type]  # what is asked of it


def test_what_redis_has_just_said_is_not_asked_again() -> None:
    claims = Leased()
    fresh = attempt(claims, 0.0)
    fresh.guard()
    assert claims.asked == 0
    fresh.guard(anew=True)
    assert claims.asked == 1


def test_after_a_second_redis_is_asked_and_its_answer_holds_for_another() -> None:
    claims = Leased()
    old = attempt(claims, SURE_SECONDS + 0.1)
    old.guard()
    old.guard()
    assert claims.asked == 1


@pytest.mark.parametrize("answer", ["lost", "gone", "cancel"])
def test_who_stood_still_hears_that_the_job_is_somebody_elses(answer: str) -> None:
    claims = Leased()
    old = attempt(claims, 60.0)
    claims.answer = answer
    with pytest.raises(Interrupted):
        old.guard()


def test_a_beat_counts_from_when_it_was_asked_not_from_when_it_was_answered() -> None:
    claims = Leased()
    old = attempt(claims, 60.0)
    old.heed("ok", time.monotonic() - SURE_SECONDS - 0.1)  # an answer that took long
    old.guard()
    assert claims.asked == 1
