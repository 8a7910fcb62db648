"""The Celery app: the only Celery configuration.

    celery -A b2jobs_worker.celery.app worker -Q b2jobs.high,b2jobs,b2jobs.low

`b2jobs worker` starts it with the queues, pool and processes that the settings name.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.apps import worker as celery_worker
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutting_down

from b2jobs.redis import QUEUES
from b2jobs_worker.celery import broker, control
from b2jobs_worker.celery.connection import connection_of
from b2jobs_worker.celery.consumer import JobConsumer, PromptDispatcher, refuse_raw
from b2jobs_worker.celery.keeper_step import KeeperStep
from b2jobs_worker.celery.outbox_step import OutboxStep
from b2jobs_worker.celery.wake import WakeStep
from b2jobs_worker.delivery import shutdown
from b2jobs_worker.delivery.keeper import CHORES
from b2jobs_worker.delivery.startup import warn_about_redis
from b2jobs_worker.schedule import ScheduleChore
from b2jobs_worker.settings import Settings, current

logger = logging.getLogger(__name__)


def make_app(settings: Settings) -> Celery:
    """A Celery app for *settings*. Messages are acknowledged when taken; results are ours."""
    broker.install(refuse_raw)
    control.install(everything=settings.remote_control)
    url, connection = connection_of(settings)
    app = Celery(__name__, broker=url, backend=url, include=["b2jobs_worker.handlers.tasks"])
    app.conf.update(
        connection,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Redis full, or a replica after a failover: wait for it instead of exiting.
        broker_channel_error_retry=True,
        task_acks_late=False,
        task_ignore_result=True,
        task_default_queue=QUEUES["normal"],
        task_create_missing_queues=True,
        task_serializer="json",
        accept_content=["json"],
        result_serializer="json",
        worker_consumer=JobConsumer,
        worker_pool="threads",
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_enable_remote_control=settings.remote_control or not settings.require_signature,
        # A job that runs goes on while Redis is away: its lease decides, not the connection.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=True,
        worker_send_task_events=False,
    )
    app.events.dispatcher_cls = PromptDispatcher
    app.steps["worker"].add(KeeperStep)
    app.steps["worker"].add(OutboxStep)
    app.steps["worker"].add(WakeStep)
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)  # delivery/ says what becomes of jobs
    return app


def serve(name: str, slots: int, settings: Settings) -> int:
    """Answer the queues' messages with *slots* threads until SIGTERM; the exit status.

    What `celery worker` does, without its command line, whose imports alone take as long as
    all the rest of a start.
    """
    worker = app.Worker(
        hostname=f"{name}-{os.getpid()}@{socket.gethostname()}",
        concurrency=slots,
        queues=queue_names(settings.priorities()),
        loglevel=settings.log_level.upper(),
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def when_ready(act: Callable[[], None]) -> None:
    """Call *act* when this process has its queues, before it takes the first job."""
    worker_ready.connect(lambda **_: act(), weak=False)


def leave_logging_alone() -> None:
    """Keep Celery from setting up logging, and from writing beside it: `logs` has done so."""
    setup_logging.connect(lambda **_: None, weak=False)
    # What it writes when it is told to stop; the parent has logged that already.
    celery_worker.safe_say = lambda *_, **__: None


def queue_names(priorities: list[str]) -> str:
    """The Celery queues of *priorities*, in the order they are served: the most urgent first."""
    return ",".join(name for priority, name in QUEUES.items() if priority in priorities)


@worker_init.connect  # type: ignore[untyped-decorator]  # Celery publishes no types
def _on_start(**_: Any) -> None:
    warn_about_redis(current())


@worker_shutting_down.connect  # type: ignore[untyped-decorator]  # Celery publishes no types
def _on_stop(**_: Any) -> None:
    shutdown.begin(current().grace_seconds)


CHORES.append(lambda settings, records: ScheduleChore(settings, records).round)
app = make_app(current())
