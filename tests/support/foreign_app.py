"""An application with a Celery of its own beside b2jobs: its tasks, its worker, its beat."""

from __future__ import annotations

import os

from celery import Celery

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
