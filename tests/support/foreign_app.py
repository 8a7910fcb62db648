"""An application with a Celery of its own beside b2jobs: its tasks, its worker, its beat."""

from __future__ import annotations

import json
import os
from typing import Any

from celery import Celery
from redis import Redis

import b2jobs

KWARGS = {"source": "data:,x", "destination": "b2://some-bucket/x"}


def make_app(redis_url: str, key_prefix: str) -> Celery:
    """As an application configures it; a key prefix, where there is one, stands in both."""
    app = Celery("theirs", broker=redis_url, backend=redis_url, set_as_current=False)
    prefix = {"global_keyprefix": key_prefix}
    app.conf.update(
        broker_transport_options=prefix,
        result_backend_transport_options=prefix,
        broker_connection_retry_on_startup=True,
        task_routes=b2jobs.celery_routes,
        beat_schedule={
            "nightly": {"task": "b2jobs.upload", "schedule": 1.0, "kwargs": KWARGS},
        },
    )
    return app


if "B2JOBS_REDIS_URL" in os.environ:
    app = make_app(os.environ["B2JOBS_REDIS_URL"], os.environ["B2JOBS_KEY_PREFIX"])

    @app.task(name="theirs.work")
    def work(number: int) -> int:
        return number * 2

    def note(name: str, *given: Any) -> None:
        """What tests of canvases look at: who was called with what."""
        key = f"{os.environ['B2JOBS_KEY_PREFIX']}theirs:calls"
        Redis.from_url(os.environ["B2JOBS_REDIS_URL"]).rpush(key, json.dumps([name, *given]))

    @app.task(name="theirs.note", bind=True)
    def noted(task: Any, *args: Any, **kwargs: Any) -> Any:
        """Notes its arguments under `name`, and returns the first of the others."""
        note(kwargs.pop("name", "note"), task.request.id, args, kwargs)
        return args[0] if args else None

    @app.task(name="theirs.fail")
    def fail(*args: Any) -> None:
        raise ValueError("theirs")

    @app.task(name="theirs.errback")
    def errback(task_id: str) -> None:
        note("errback", task_id)

    @app.task(name="theirs.new_errback")
    def new_errback(request: Any, exc: Exception, traceback: Any) -> None:
        note("new_errback", request.id, str(exc))

    @app.task(name="theirs.place")
    def place(*args: Any) -> str:
        return "data://r/made"
