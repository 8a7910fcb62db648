"""Celery's remote control: a revoked id is a cancelled job, for good.

`app.control.revoke(id)`, `AsyncResult(id).revoke()` and Flower's buttons broadcast the same
command. Celery keeps such ids in the worker's memory and forgets them when it restarts; the
record does not. An id without a record yet is marked in Celery's result, which registering
and claiming look at. Any worker of Celery on the same result backend leaves that mark, ours
or not.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.worker import control

from b2jobs_worker.celery.message import cancel
from b2jobs_worker.resources import resources

_celerys_revoke = control.revoke

logger = logging.getLogger(__name__)


def revoke(state: Any, task_id: Any, **options: Any) -> Any:
    """Cancel jobs, running ones too, with `terminate` or without."""
    del options
    given = task_id if isinstance(task_id, list | tuple | set) else [task_id]
    ids = [each for each in given if isinstance(each, str)]
    records = resources().records
    unknown = [each for each in ids if not cancel(records, each)]
    if unknown:
        _celerys_revoke(state, unknown)
    logger.info("revoked: %d jobs, %d ids without a record", len(ids) - len(unknown), len(unknown))
    return {"ok": f"tasks {ids} revoked"}


def terminate(state: Any, signal: Any, task_id: Any, **options: Any) -> Any:
    """As `revoke`: a job is asked to end, and removes what it has begun."""
    del signal, options
    return revoke(state, task_id)


def install(*, everything: bool) -> None:
    """Answer these commands of Celery's in this process; no others unless *everything*.

    Whoever reaches Redis can send the others too, and they stop a fleet: `rate_limit`, `shutdown`.
    """
    if not everything:
        control.Panel.data.clear()
        control.Panel.meta.clear()
    variadic = {"variadic": "task_id"}
    control.control_command(**variadic, signature="[id1 [id2 [... [idN]]]]")(revoke)
    control.control_command(
        **variadic, args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]"
    )(terminate)
