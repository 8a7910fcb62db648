"""How a kind of job becomes a Celery task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from celery import Celery, Task, signals
from celery.exceptions import Ignore, Retry, Terminated

from b2jobs.errors import JobFailed, QueueUnavailable
from b2jobs_worker.delivery.claims import Line, Outcome
from b2jobs_worker.delivery.deliver import deliver
from b2jobs_worker.resources import resources
from b2jobs_worker.work import Work

_TOLD = (
    *(signals.task_received, signals.task_prerun, signals.task_postrun, signals.task_success),
    *(signals.task_failure, signals.task_retry, signals.task_revoked, signals.task_internal_error),
)
"""What monitors connect to, to be told of each job through Celery."""


class JobTask(Task):  # type: ignore[misc]  # Celery publishes no types
    """A task whose message is only a doorbell, and whose result delivery/ writes."""

    abstract = True
    ignore_result = True
    acks_late = False
    throws = (JobFailed, Terminated)  # said by us already
    work: Work[Any]
    has_events: Callable[[], bool] = staticmethod(lambda: False)
    """Whether Celery sends its events to monitors now; its consumer knows."""
    typing = False  # arguments are validated by b2jobs.requests, which names what is wrong


def register(app: Celery, table: Mapping[str, Work[Any]]) -> None:
    """Make the task `b2jobs.KIND` for each kind in *table*.

    *app* must be the `app` of the module that is its main name: a job that is suspected of
    killing its worker runs in a process of its own, which imports that.
    """
    for kind, work in table.items():
        app.task(_answer, bind=True, base=JobTask, name=f"b2jobs.{kind}", work=work)


def _answer(task: Any) -> None:
    # Whatever kind the doorbell says: the record, which may be signed, says what is done.
    def work_of(kind: str) -> Work[Any] | None:
        known = task.app.tasks.get(f"b2jobs.{kind}")
        return known.work if known is not None else None

    try:
        own = resources()
        outcome = deliver(
            task.request.id,
            work_of,
            own.claims,
            own.leases,
            module=task.app.main,
            line=lambda: line(task),
        )
    except QueueUnavailable as error:
        raise Retry(str(error), exc=error) from error
    if line(task) is None:
        _say(outcome)


def line(task: Any) -> Line | None:
    """The queues that this worker serves now; None where Celery is to tell monitors of each job,
    and each comes to it by its doorbell."""
    if task.has_events() or any(signal.receivers for signal in _TOLD):
        return None
    return Line(list(task.app.amqp.queues.consume_from), _kinds(task.app))


@cache
def _kinds(app: Celery) -> str:
    """The kinds that *app* knows: all are registered before it takes the first job."""
    return f",{','.join(name.removeprefix('b2jobs.') for name in app.tasks)},"


def _say(outcome: Outcome | None) -> None:
    """End the Celery task as its job has: events and signals then tell monitors what happened.

    Celery stores nothing of it: the job's result is written with its record.
    """
    if outcome is None:
        raise Ignore("answered by somebody else")
    failure = outcome.failure
    match outcome.state:
        case "succeeded":
            return
        case "failed" if failure is not None:
            raise JobFailed(failure)
        case "cancelled":
            raise Terminated("cancelled")
        case state:
            raise Retry(f"the job is {state}", exc=JobFailed(failure) if failure else None)
