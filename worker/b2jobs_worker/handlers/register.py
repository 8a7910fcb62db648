"""How a kind of job becomes a Celery task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery, Task

from b2jobs_worker.delivery.deliver import Work, deliver


class JobTask(Task):  # type: ignore[misc]  # Celery publishes no types
    """A task whose message is only a doorbell, and whose result delivery/ writes."""

    abstract = True
    Strategy = "b2jobs_worker.delivery.doorbell:strategy"
    ignore_result = True
    acks_late = False
    typing = False  # arguments are validated by b2jobs.jobs, which names what is wrong


def register(app: Celery, table: Mapping[str, Work]) -> None:
    """Make the task `b2jobs.KIND` for each kind in *table*."""
    for kind, work in table.items():
        app.task(_answer(work), bind=True, base=JobTask, name=f"b2jobs.{kind}")


def _answer(work: Work) -> Any:
    def answer(task: Any) -> None:
        deliver(task.request.id, work)

    return answer
