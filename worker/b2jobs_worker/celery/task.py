"""How a kind of job becomes a Celery task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery, Task

from b2jobs_worker.delivery.deliver import Work, deliver


class JobTask(Task):  # type: ignore[misc]  # Celery publishes no types
    """A task whose message is only a doorbell, and whose result delivery/ writes."""

    abstract = True
    Strategy = "b2jobs_worker.celery.message:strategy"
    ignore_result = True
    acks_late = False
    work: Work
    typing = False  # arguments are validated by b2jobs.requests, which names what is wrong


def register(app: Celery, table: Mapping[str, Work]) -> None:
    """Make the task `b2jobs.KIND` for each kind in *table*.

    *app* must be the `app` of the module that is its main name: a job that is suspected of
    killing its worker runs in a process of its own, which imports that.
    """
    for kind, work in table.items():
        app.task(_answer(work), bind=True, base=JobTask, name=f"b2jobs.{kind}", work=work)


def _answer(work: Work) -> Any:
    def answer(task: Any) -> None:
        deliver(task.request.id, work, module=task.app.main)

    return answer
