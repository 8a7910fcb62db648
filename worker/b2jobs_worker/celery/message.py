"""What a worker does with a message: answer a doorbell, or register another application's job.

A message of ours has no arguments: its record has them. One with arguments comes from plain
Celery (`send_task("b2jobs.upload", kwargs={...})`): it gets its record here, before it is
acknowledged, and then goes the way of every job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default as celery_strategy

from b2jobs.account_names import masked
from b2jobs.errors import InvalidJob, QueueUnavailable
from b2jobs.records import Records
from b2jobs.requests import Job, build
from b2jobs_worker.delivery.deliver import invalid
from b2jobs_worker.delivery.leases import leases

_LINKS = ("callbacks", "errbacks", "chain", "chord")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForeignArguments:
    """The body of a message that plain Celery sent; *links* are what is to run after it."""

    positional: list[Any]
    named: dict[str, Any]
    links: dict[str, Any]


def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """The Celery strategy of our tasks (`Task.Strategy`)."""
    kind = task.name.removeprefix("b2jobs.")
    answer = celery_strategy(task, app, consumer, **options)

    def receive(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        arguments = _arguments(message)
        if arguments is None:
            return answer(message, body, ack, reject, callbacks, **more)
        try:
            register(leases().records, kind, message.headers, arguments)
        except QueueUnavailable:
            raise
        except Exception as error:
            raise InvalidTaskError(f"not a message of Celery: {error!r}") from error
        return message.ack_log_error(logger, consumer.connection_errors)

    return receive


def register(
    records: Records, kind: str, headers: dict[str, Any], arguments: ForeignArguments
) -> None:
    """Write the record of a job that plain Celery sent. Called again it does nothing.

    Its `eta` or `countdown` becomes waiting time in Redis, its `expires` the job's. What can
    never succeed is recorded as failed, with the reason in Celery's result too.

    Raises:
        QueueUnavailable: the message stays unacknowledged.
    """
    job_id = str(headers["id"])
    try:
        job = _requested(kind, headers, arguments)
        delay = max(0.0, _seconds_until(headers.get("eta")) or 0.0)
    except InvalidJob as error:
        logger.warning("job %s is refused: %s", job_id, error)
        records.refuse(job_id, kind, masked(arguments.named), invalid(error))
        return
    first = records.submit(job_id, job, delay_seconds=delay)
    if first != job_id:
        records.follow(first, job_id)


def _requested(kind: str, headers: dict[str, Any], arguments: ForeignArguments) -> Job:
    if arguments.positional:
        raise InvalidJob(
            f"{kind} takes its arguments by name; {len(arguments.positional)} came without one.",
            hint="Send kwargs={...}.",
        )
    linked = [name for name in _LINKS if arguments.links.get(name)]
    if linked or headers.get("group"):
        raise InvalidJob(
            f"{kind} cannot be part of a Celery canvas ({', '.join(linked) or 'group'}).",
            code="canvas_unsupported",
            hint="Send the job by itself and wait for its result.",
        )
    expires = _seconds_until(headers.get("expires"))
    named = arguments.named
    if expires is not None and "expires" not in named:
        named = {**named, "expires": max(expires, 0.001)}
    return build(kind, named)


def _arguments(message: Any) -> ForeignArguments | None:
    """What plain Celery sent, or None for a doorbell of ours.

    Raises:
        InvalidTaskError: neither; Celery drops the message and says so in its log.
    """
    try:
        return _read(message)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InvalidTaskError(f"not a message of Celery: {error!r}") from error


def _read(message: Any) -> ForeignArguments | None:
    payload = message.payload
    if isinstance(payload, dict):  # Celery's message protocol 1
        message.headers.setdefault("id", payload.get("id"))
        return ForeignArguments(payload.get("args") or [], payload.get("kwargs") or {}, payload)
    positional, named, links = payload
    if "rung" in message.headers:
        return None
    return ForeignArguments(list(positional), dict(named), links or {})


def _seconds_until(moment: str | None) -> float | None:
    if not moment:
        return None
    try:
        then = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        raise InvalidJob(
            f"{moment!r} is not a time.", hint="Celery sends eta and expires as ISO 8601."
        ) from None
    return (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
