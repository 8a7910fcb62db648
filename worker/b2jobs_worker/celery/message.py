"""What a message is: a doorbell of ours, a job that plain Celery sent, or nothing that can be done.

A doorbell has no arguments: the job's record has them. A message with arguments comes from
plain Celery (`send_task("b2jobs.upload", kwargs={...})`): it gets its record here, before it
is acknowledged, and then goes the way of every job. What can never succeed becomes a failed
job under the id in its header, so that whoever waits for it hears why.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kombu.exceptions import ContentDisallowed

from b2jobs import signing
from b2jobs.account_names import masked
from b2jobs.errors import CallerError, Failure, InvalidJob, JobNotFound, QueueUnavailable
from b2jobs.records import Records
from b2jobs.requests import Batch, Job, Verify, build
from b2jobs.requests.job import check_job_id
from b2jobs.signed import Signed, celery_message
from b2jobs.tracing import placed
from b2jobs_worker.celery.canvas import canvas_of, check_supported, tasks_of, with_names
from b2jobs_worker.delivery.deliver import invalid
from b2jobs_worker.permits import permit
from b2jobs_worker.settings import current

PREFIX = "b2jobs."
_LONGEST_DELAY_SECONDS = 10 * 366 * 86_400.0
_LONGEST_ID = 4096
_REFUSED_BY_POLICY = "policy_refused"
_MOST_ARGUMENTS = 16_384
MOST_MESSAGE_BYTES = 4 * 1024 * 1024
"""Of a message as it lies in Redis: a request of a MiB, base64 and what is to run behind it."""
_FED = "No message can bring what this job waits for; {} feeds it."
_RING = b'[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sent:
    """A job as plain Celery sent it; *links* are what is to run after it."""

    kind: str
    job_id: str
    headers: Mapping[str, Any]
    positional: list[Any] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)


def unreadable(why: str, hint: str = "") -> InvalidJob:
    """The refusal of a message that is not what Celery sends."""
    return InvalidJob(f"The message cannot be read: {why}.", code="message_unreadable", hint=hint)


def task_of(message: Any) -> tuple[str, str] | None:
    """The task and the id that *message* is about; None where it does not name both.

    In Celery's first protocol they stand in the body, in the second among the headers.
    """
    named = message.headers
    if "task" not in named:
        try:
            payload = message.payload
        except Exception as error:  # noqa: BLE001 - a decoder may raise anything
            logger.debug("no headers, and a body that cannot be read: %r", error)
            return None
        named = payload if isinstance(payload, dict) else {}
    task, job_id = named.get("task"), named.get("id")
    return (task, job_id) if isinstance(task, str) and isinstance(job_id, str) else None


def is_doorbell(message: Any) -> bool:
    """Whether it only says that a record is waiting."""
    return "rung" in message.headers and message.body == _RING


def check_size(raw: Any) -> None:
    """Refuse a message that is longer than any that can be accepted, before it is read.

    Raises:
        InvalidJob: `message_too_long`
    """
    headers = raw.get("headers") if isinstance(raw, dict) else None
    parts = [raw.get("body"), *(headers.values() if isinstance(headers, dict) else ())]
    size = sum(len(part) for part in parts if isinstance(part, str))
    if size > MOST_MESSAGE_BYTES:
        raise InvalidJob(
            f"The message has {size} bytes, and {MOST_MESSAGE_BYTES} are read at most.",
            code="message_too_long",
            hint="Long lists go into a manifest, bytes are handed over by b2jobs.upload.",
        )


def reduce(message: Any, task: str, job_id: str) -> None:
    """Leave of a doorbell what it says: task and id. Its other headers are nobody's business."""
    message.headers = {"task": task, "id": job_id, "rung": message.headers.get("rung")}
    message.properties = {}


def register(records: Records, message: Any, task: str, job_id: str) -> None:
    """Write the record of a job that plain Celery sent. Called again it does nothing.

    Its `eta` or `countdown` becomes waiting time in Redis, its `expires` the job's. What can
    never succeed is recorded as failed, with the reason in Celery's result too.

    Raises:
        QueueUnavailable: the message stays unacknowledged.
    """
    sent = Sent(task.removeprefix(PREFIX), job_id, message.headers)
    try:
        sent = _read(message, sent)
        check_job_id(job_id)
        asked = _signed(records, message, sent)
        job, canvas = _requested(sent), canvas_of(sent.links, sent.headers)
        _permitted(canvas, asked.producer)
        delay = max(0.0, _seconds_until(sent.headers.get("eta")) or 0.0)
        if delay > _LONGEST_DELAY_SECONDS:
            raise InvalidJob("The job's eta is more than ten years away.")
    except QueueUnavailable:
        raise
    except InvalidJob as error:
        refuse(records, sent, error)
        return
    except Exception as error:
        logger.exception("job %r: its message is not one of Celery", job_id[:200])
        refuse(records, sent, unreadable(f"{type(error).__name__}: {error}"))
        return
    # A message's signature does not cover its other headers.
    said = (message.headers.get("traceparent"), message.headers.get("tracestate"))
    trace = "" if records.ring.required else placed(*said)
    try:
        first = records.submit(
            job_id,
            job,
            delay_seconds=delay,
            asked=asked,
            from_message=True,
            canvas=canvas,
            trace=trace,
        )
    except InvalidJob as error:
        refuse(records, sent, error)
        return
    if first != job_id:
        records.follow(first, job_id, canvas)
    elif records.is_revoked(job_id):
        cancel(records, job_id)


def refuse(records: Records, sent: Sent, error: InvalidJob) -> None:
    """Record *sent* as failed. An id that Redis cannot hold is only logged: nobody waits for it.

    Raises:
        QueueUnavailable: the message stays unacknowledged.
    """
    shown = sent.job_id[:200]
    logger.warning("job %r is refused: %s", shown, error)
    if sent.job_id != _plain(sent.job_id) or not 0 < len(sent.job_id) <= _LONGEST_ID:
        return
    failure = invalid(error)
    said = Failure(
        code=failure.code, message=_plain(failure.message), hint=_plain(failure.hint), act="caller"
    )
    try:
        canvas = canvas_of(sent.links, sent.headers)
    except InvalidJob:  # then that is why it is refused
        canvas = None
    if error.code == _REFUSED_BY_POLICY:
        canvas = None  # nor is what hangs on its failure called
    named = _shortened(masked(sent.named))
    records.refuse(sent.job_id, _plain(sent.kind)[:100], named, said, canvas)


def cancel(records: Records, job_id: str) -> bool:
    """Cancel a job that Celery has revoked; whether there is one.

    Celery does not say who has revoked it: where signatures are required nobody is heeded.
    """
    if records.ring.required:
        logger.warning("job %s: revoked by nobody knows whom; it is not cancelled", job_id)
        return True
    try:
        records.cancel(job_id)
    except JobNotFound:
        return False
    return True


def _read(message: Any, sent: Sent) -> Sent:
    try:
        payload = message.payload
    except ContentDisallowed as error:
        raise unreadable(
            f"its content type is {message.content_type!r}",
            hint="Send it as JSON: task_serializer = 'json'.",
        ) from error
    except Exception as error:
        raise unreadable(
            f"its body is broken ({type(error).__name__}: {str(error)[:200]})"
        ) from error
    headers: Mapping[str, Any] = sent.headers
    if isinstance(payload, dict):  # Celery's first protocol
        headers = {**payload, **message.headers}
        positional, named, links = payload.get("args") or [], payload.get("kwargs") or {}, payload
    else:
        if not isinstance(payload, list | tuple) or len(payload) != 3:
            raise unreadable("its body is not [args, kwargs, embed]")
        positional, named, links = payload
    if not isinstance(positional, list | tuple) or not isinstance(named, dict):
        raise unreadable("its body has no list of args and mapping of kwargs")
    if not isinstance(links or {}, dict):
        raise unreadable("its embed is not a mapping")
    return Sent(sent.kind, sent.job_id, headers, list(positional), named, links or {})


def _signed(records: Records, message: Any, sent: Sent) -> Signed:
    said = celery_message(message.headers, sent.positional, sent.named, sent.links)
    header = message.headers.get(signing.CELERY_HEADER)
    return records.ring.check_message(header, PREFIX + sent.kind, sent.job_id, said)


def _permitted(canvas: dict[str, Any] | None, producer: str) -> None:
    """Hold the tasks of *canvas* to the policy's `on_done`, as those that are told of an end.

    Raises:
        InvalidJob: `policy_refused`
    """
    asked = permit(current(), producer, "")
    try:
        for task in sorted(tasks_of(canvas)):
            asked.tell(task, "")
    except CallerError as error:
        raise InvalidJob(str(error), code=error.code, hint=error.hint) from error


def _requested(sent: Sent) -> Job:
    check_supported(sent.kind, sent.headers)
    named = with_names(sent.kind, sent.positional, sent.named)
    expires = _seconds_until(sent.headers.get("expires"))
    if expires is not None and "expires" not in named:
        named = {**named, "expires": max(expires, 0.001)}
    job = build(sent.kind, named)
    if isinstance(job, Verify) or (isinstance(job, Batch) and job.stream):
        by = "b2jobs.verify" if isinstance(job, Verify) else "b2jobs.batch_items"
        raise InvalidJob(_FED.format(by), code="feed_missing", field="stream")
    return job


def _seconds_until(moment: Any) -> float | None:
    if not moment:
        return None
    try:
        then = datetime.fromisoformat(moment)
        return (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        raise InvalidJob(
            f"{str(moment)[:120]!r} is not a time.",
            hint="Celery sends eta and expires as ISO 8601.",
        ) from None


def _plain(text: str) -> str:
    """*text* as Redis and JSON can hold it: half a surrogate pair is written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _shortened(arguments: dict[str, Any]) -> dict[str, Any]:
    """Refused arguments as the record shows them; none where they are long or not JSON."""
    try:
        text = json.dumps(arguments, default=repr, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {}
    shown: dict[str, Any] = json.loads(text) if len(text) <= _MOST_ARGUMENTS else {}
    return shown
