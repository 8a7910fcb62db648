"""How a job ended, as Celery's Redis backend stores it: what `AsyncResult` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from b2jobs.errors import Failure


def succeeded_meta(result: dict[str, Any]) -> str:
    """The result as Celery's Redis backend stores it; the scripts add the task's id and its
    children."""
    return _meta("SUCCESS", result)


def failed_meta(failure: Failure) -> str:
    """A failure as Celery's Redis backend stores it.

    `AsyncResult.get()` raises `b2jobs.JobFailed` where b2jobs is imported, else an
    exception of that name.
    """
    return _meta(
        "FAILURE",
        {
            "exc_type": "JobFailed",
            "exc_message": [failure.model_dump()],
            "exc_module": "b2jobs.errors",
        },
    )


def revoked_meta() -> str:
    """A cancelled job as Celery's Redis backend stores it."""
    return _meta(
        "REVOKED",
        {
            "exc_type": "TaskRevokedError",
            "exc_message": ["cancelled"],
            "exc_module": "celery.exceptions",
        },
    )


def children_of(canvas: Mapping[str, Any] | None) -> str | None:
    """What a job that succeeds calls, as `AsyncResult.children` has it; None for nothing."""
    if not canvas or not canvas.get("children"):
        return None
    return json.dumps([[[child, None], None] for child in canvas["children"]])


def _meta(status: str, result: object) -> str:
    return json.dumps(
        {
            "status": status,
            "result": result,
            "traceback": None,
            "date_done": datetime.now(UTC).isoformat(),
        }
    )
