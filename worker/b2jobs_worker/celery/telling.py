"""Words for Celery: tasks of applications that share our Redis."""

from __future__ import annotations

import uuid
from typing import Any

from celery import Celery

from b2jobs.redis import QUEUES
from b2jobs.words import Word
from b2jobs_worker.celery import broker
from b2jobs_worker.celery.connection import connection_of
from b2jobs_worker.delivery.outbox import Message
from b2jobs_worker.settings import Settings


class Teller:
    """Makes the messages of words, as an application's own Celery would send them.

    It has an app of its own, which knows none of the application's tasks. Thread-safe.
    """

    def __init__(self, settings: Settings) -> None:
        url, connection = connection_of(settings)
        self._app = Celery("b2jobs-outbox", broker=url, backend=url, set_as_current=False)
        self._app.conf.update(
            connection,
            task_default_queue=settings.callback_queue,
            task_create_missing_queues=True,
            task_routes=[settings.callback_routes, {"b2jobs.*": {"queue": QUEUES["normal"]}}],
            task_serializer="json",
            accept_content=["json"],
            result_serializer="json",
        )

    def task(self, word: Word) -> list[Message]:
        """The message of an `on_done` task; its id is the word's."""
        to, found = word.to, _Messages()
        options = {name: to[name] for name in ("queue", "priority") if name in to}
        with broker.sending(found.add):
            self._app.send_task(
                to["task"],
                args=to.get("args", []),
                kwargs={**to.get("kwargs", {}), **_given(word)},
                task_id=str(uuid.UUID(word.id)),
                **options,
            )
        return found.made


class _Messages:
    def __init__(self) -> None:
        self.made: list[Message] = []

    def add(self, key: str, message: bytes) -> None:
        self.made.append((key, message))


def _given(word: Word) -> dict[str, Any]:
    if word.to.get("gives") == "batch":
        return {"batch": word.job, "state": word.state, "summary": word.result}
    return word.about()
