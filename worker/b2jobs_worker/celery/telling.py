"""Words for Celery: tasks and canvases of applications that share our Redis."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery import Celery, signature
from celery.app.task import Context
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from b2jobs.errors import JobFailed
from b2jobs.records import Records
from b2jobs.redis import QUEUES
from b2jobs.words import Word
from b2jobs_worker.celery import broker
from b2jobs_worker.celery.connection import connection_of
from b2jobs_worker.delivery.outbox import Message, NotTold
from b2jobs_worker.settings import Settings


class Teller:
    """Makes the messages of words, as an application's own Celery would send them.

    It has an app of its own, which knows none of the application's tasks. Thread-safe.
    """

    def __init__(self, settings: Settings, records: Records) -> None:
        self._call = records.door.call
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
            result_backend_thread_safe=True,
        )
        # Whoever sends a task listens for its result, for ever; nobody does here.
        self._backend: Any = self._app.backend
        self._backend.on_task_call = _listen_to_nothing
        self._backend._call_task_errbacks = self._call_errbacks

    def task(self, word: Word) -> list[Message]:
        """The message of an `on_done` task; its id is the word's."""
        to, found = word.to, _Messages()
        options = {name: to[name] for name in ("queue", "priority") if name in to}
        with self._sending(found.add):
            self._app.send_task(
                to["task"],
                args=to.get("args", []),
                kwargs={**to.get("kwargs", {}), **_given(word)},
                task_id=str(uuid.UUID(word.id)),
                # For logs and monitors: a result may be long, or what somebody has downloaded.
                argsrepr="(...)",
                kwargsrepr=f"{{'job': {word.job!r}, 'state': {word.state!r}, ...}}",
                **options,
            )
        return found.made

    def canvas(self, word: Word) -> list[Message]:
        """Go on with a canvas as Celery's own workers do when a task of it has ended.

        Callbacks, errbacks and the rest of a chain are sent when the word is forgotten. Chords
        count in Redis; who counts the last part sends the body at once, and no second time.
        """
        sent, found = word.to["canvas"], _Messages()
        try:
            match word.state:
                case "succeeded":
                    self._succeeded(word, sent, found)
                case "cancelled":
                    with self._sending_once(word, sent):
                        self._backend.mark_as_revoked(
                            word.job, request=_request(word, sent), store_result=False
                        )
                case _:
                    self._failed(word, sent, found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotTold(
                f"Celery cannot go on with its canvas ({type(error).__name__}: {error})",
                heals=False,
            ) from error
        return found.made

    def _succeeded(self, word: Word, sent: dict[str, Any], found: _Messages) -> None:
        where = {"parent_id": word.job, "root_id": sent.get("root_id") or word.job}
        chain = list(sent.get("chain", []))
        with self._sending(found.add):
            for callback in sent.get("callbacks", []):
                signature(callback, app=self._app).apply_async((word.result,), **where)
            if chain:
                following = signature(chain.pop(), app=self._app)
                following.apply_async((word.result,), chain=chain, **where)
        with self._sending_once(word, sent):
            self._backend.mark_as_done(
                word.job, word.result, request=_request(word, sent), store_result=False
            )

    def _failed(self, word: Word, sent: dict[str, Any], found: _Messages) -> None:
        error = JobFailed(word.failure or {}, word.job)
        errbacks = {name: value for name, value in sent.items() if name not in ("chain", "chord")}
        with self._sending(found.add):
            self._backend.mark_as_failure(
                word.job, error, request=_request(word, errbacks), store_result=False
            )
        with self._sending_once(word, sent):
            self._backend.mark_as_failure(
                word.job,
                error,
                request=_request(word, {**sent, "chain": None}),
                store_result=False,
                call_errbacks=False,
            )
            # What comes behind it in a chain has failed too: that is stored.
            self._backend._fail_chain(sent.get("chain"), error)

    def _call_errbacks(self, request: Any, error: Exception, traceback: Any) -> None:
        """Have the errbacks of *request* called by a worker of the application.

        How an errback is called (with the task's id, or with request, exception and traceback)
        depends on its parameters, which only that worker knows: it gets a task of Celery's own
        that fails there, with the id of the one that failed here, and calls its errbacks. The
        exception has our failure as its text; the result that it belongs to is stored already.
        """
        del traceback
        for errback in request.errbacks or []:
            options = errback.get("options") or {}
            self._app.send_task(
                "celery.map",
                kwargs={"task": {"task": str(error)}, "it": []},
                task_id=request.id,
                root_id=request.root_id,
                parent_id=request.parent_id,
                link_error=[errback],
                route_name=errback["task"],
                ignore_result=True,
                **{name: options[name] for name in ("queue", "priority") if name in options},
            )

    @contextmanager
    def _sending(self, put: Any) -> Iterator[None]:
        """Give what is sent meanwhile to *put*.

        Raises:
            NotTold: Redis is away, or full.
        """
        self._app.set_current()  # of this thread: parts of a canvas may bring no app of their own
        try:
            with broker.sending(put):
                yield
        except (RedisError, OperationalError, OSError) as error:
            raise NotTold(f"Redis did not confirm: {error}", is_silent=True) from error

    def _sending_once(self, word: Word, canvas: Mapping[str, Any]) -> Any:
        """Send what is sent meanwhile at once; each task only once for this word, or chord.

        A word that is told again counts its part again. Were the last part counted in between,
        and its body just sent, this one would find all parts there and send the body too.
        """
        sent = Counter[str]()
        scope = canvas.get("group") or word.id

        def put(key: str, message: bytes) -> None:
            task_id = json.loads(message)["headers"]["id"]
            sent[task_id] += 1
            once = f"{scope}:{task_id}:{sent[task_id]}"
            self._call("words/send", message, word=word.id, once=once, list=key)

        return self._sending(put)


class _Messages:
    def __init__(self) -> None:
        self.made: list[Message] = []

    def add(self, key: str, message: bytes) -> None:
        self.made.append((key, message))


def _given(word: Word) -> dict[str, Any]:
    if word.to.get("gives") == "batch":
        return {"batch": word.job, "state": word.state, "summary": word.result}
    return word.about()


def _request(word: Word, sent: dict[str, Any]) -> Any:
    """The request of the task that has ended, as far as Celery looks at it."""
    return Context(
        {
            "id": word.job,
            "task": f"b2jobs.{word.kind}",
            "args": [],
            "kwargs": {},
            "delivery_info": {},
            "hostname": "b2jobs",
            **sent,
        }
    )


def _listen_to_nothing(producer: Any, task_id: str) -> None:
    del producer, task_id
