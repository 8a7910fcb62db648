"""Celery's consumer, with our door before it: nothing that lies in a queue may stop a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.events.dispatcher import EventDispatcher
from celery.worker.consumer import Consumer
from celery.worker.state import revoked

from b2jobs.errors import InvalidJob
from b2jobs.records import Records
from b2jobs_worker.celery import message as messages
from b2jobs_worker.celery.task import JobTask
from b2jobs_worker.resources import resources

logger = logging.getLogger(__name__)


class JobConsumer(Consumer):  # type: ignore[misc]  # Celery publishes no types
    """Answers doorbells through Celery, and registers what plain Celery sent by itself."""

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        answer = super().create_task_handler(*arguments, **options)
        JobTask.has_events = self._has_events

        def receive(message: Any) -> Any:
            about = messages.task_of(message)
            if about is None:
                logger.error("dropped: a message without a task and an id: %.500r", message)
                return message.reject_log_error(logger, self.connection_errors)
            task, job_id = about
            if not task.startswith(messages.PREFIX):
                # Celery has tasks of its own, which call others: none of them is ours to run.
                logger.error("dropped: a message for %.200r, which is no task of b2jobs", task)
                return message.reject_log_error(logger, self.connection_errors)
            if not messages.is_doorbell(message):
                messages.register(_records(), message, task, job_id)
                return message.ack_log_error(logger, self.connection_errors)
            if task not in self.app.tasks:  # a newer producer's; the keeper rings for others
                return message.ack_log_error(logger, self.connection_errors)
            if job_id in revoked:  # told by another worker, or kept by --statedb
                messages.cancel(_records(), job_id)
                revoked.discard(job_id)
            messages.reduce(message, task, job_id)
            return answer(message)

        return receive

    def _has_events(self) -> bool:
        sender = self.event_dispatcher  # of workers' heartbeats too: `task` is a group of events
        is_on = sender is not None and sender.enabled
        return bool(is_on and (not sender.groups or "task" in sender.groups))

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """kombu could not unpack it: compressed in a way that is not known, or broken."""
        about = messages.task_of(message)
        if about is None or not about[0].startswith(messages.PREFIX):
            super().on_decode_error(message, exc)
            return
        sent = messages.Sent(about[0].removeprefix(messages.PREFIX), about[1], message.headers)
        messages.refuse(_records(), sent, messages.unreadable(f"its body is broken ({exc})"))
        message.ack()


class PromptDispatcher(EventDispatcher):  # type: ignore[misc]  # Celery publishes no types
    """Tells monitors that a worker lives; where Redis is away it says so instead of waiting.

    Celery tries for ever, deaf to SIGTERM: a worker that lost its Redis while it started, and was
    told to stop, stayed.
    """

    def _publish(self, *arguments: Any, retry: bool = False, **options: Any) -> None:
        del retry
        super()._publish(*arguments, **options)


def refuse_raw(raw: object, error: Exception) -> None:
    """What becomes of a message that broke whatever read it; it is not given out again.

    Raises:
        QueueUnavailable
    """
    headers = raw.get("headers") if isinstance(raw, dict) else None
    headers = headers if isinstance(headers, dict) else {}
    task, job_id = headers.get("task"), headers.get("id")
    is_ours = isinstance(task, str) and task.startswith(messages.PREFIX)
    if not is_ours or not isinstance(job_id, str):
        logger.error("dropped: what is no message (%r): %.500r", error, raw)
        return
    sent = messages.Sent(str(task).removeprefix(messages.PREFIX), job_id, headers)
    why = messages.unreadable(f"{type(error).__name__}: {str(error)[:200]}")
    why = error if isinstance(error, InvalidJob) else why
    messages.refuse(_records(), sent, why)


def _records() -> Records:
    return resources().records
