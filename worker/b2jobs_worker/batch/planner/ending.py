"""The end of a batch: its summary, its state, and the task that is told."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

from b2jobs.errors import CallerError, Failure
from b2jobs.ledger import DONE, UNDONE
from b2jobs.requests import State
from b2jobs.results import BatchResult
from b2jobs_worker.batch.plan.source import Forecast
from b2jobs_worker.batch.planner.desk import Desk

_CANCELLED = Failure(code="cancelled", message="The batch was cancelled.", act="caller")


def summary(desk: Desk, state: dict[str, str]) -> BatchResult:
    """What the counters say."""
    outcomes = {
        status: count for status in (*DONE, *UNDONE) if (count := int(state.get(f"n:{status}", 0)))
    }
    codes = {
        name.removeprefix("code:"): int(count)
        for name, count in state.items()
        if name.startswith("code:") and int(count) > 0
    }
    undone = sum(outcomes.get(status, 0) for status in UNDONE)
    return BatchResult(
        job=desk.batch,
        kind=type(desk.request).kind,
        attempts=desk.attempt.number,
        seconds=_seconds(state),
        status="incomplete" if undone or "broken" in state else "complete",
        items=int(state.get("planned", 0)),
        size_bytes=int(state.get("planned_bytes", 0)),
        moved_bytes=int(state.get("moved_bytes", 0)),
        outcomes=outcomes,
        codes=codes,
        packs=int(state.get("packs", 0)),
        compared=json.loads(state.get("compared", "{}")),
        calls={name: int(state.get(f"calls_{name}", 0)) for name in "abc"},
        dollars=round(float(state.get("dollars", 0)), 9),
    )


def end(desk: Desk, state: dict[str, str], *, cancelled: bool = False) -> None:
    """End the batch: succeeded when every item is done, else failed; its callback is sent."""
    result = summary(desk, state)
    undone = {status: result.outcomes.get(status, 0) for status in UNDONE}
    if cancelled:
        _write(desk, "cancelled", _CANCELLED, result)
    elif "broken" in state:
        _write(desk, "failed", Failure(**json.loads(state["broken"])), result)
    elif sum(undone.values()):
        _write(desk, "failed", _incomplete(desk, result, sum(undone.values())), result)
    else:
        _write(desk, "succeeded", None, result)


def end_dry_run(desk: Desk, result: BatchResult) -> None:
    """End a batch that only was to be looked at."""
    _write(desk, "succeeded", None, result)


def refused(forecast: Forecast) -> CallerError:
    """Why a strict batch is not begun."""
    return CallerError(
        "plan_refused",
        f"{forecast.refused} lines cannot be done: {'; '.join(forecast.samples)}.",
        hint="Correct them, or submit without `strict` to do the others.",
    )


def _incomplete(desk: Desk, result: BatchResult, undone: int) -> Failure:
    reasons = ", ".join(f"{code} {count}" for code, count in sorted(result.codes.items()))
    return Failure(
        code="items_failed",
        message=f"{undone} of {result.items} items were not done ({reasons}).",
        hint=f"See `b2jobs batch report {desk.batch}`. "
        f"`b2jobs batch retry {desk.batch} --failed` tries again what has another action there "
        "than `refused`; submit the rest anew when it is corrected.",
        act="caller",
    )


def _write(desk: Desk, state: State, failure: Failure | None, result: BatchResult) -> None:
    said = result.model_dump(mode="json")
    desk.store.end(desk.attempt, state, failure, said, _callback(desk, state, said))


def _callback(desk: Desk, state: str, said: dict[str, Any]) -> tuple[str, str] | None:
    named = getattr(desk.request, "on_done", None)
    if not named:
        return None
    task, queue = named
    kwargs = {"batch": desk.batch, "state": state, "summary": said}
    return queue, celery_message(task, queue, kwargs)


def celery_message(task: str, queue: str, kwargs: dict[str, Any]) -> str:
    """A message as Celery (protocol 2) and kombu's Redis transport write it."""
    task_id = str(uuid.uuid4())
    links = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = base64.b64encode(json.dumps([[], kwargs, links]).encode()).decode()
    headers: dict[str, Any] = {
        "lang": "py",
        "task": task,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": repr(kwargs)[:1000],
        "origin": "b2jobs",
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    properties = {
        "correlation_id": task_id,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
    )


def _seconds(state: dict[str, str]) -> float:
    began = float(state.get("began", 0))
    return round(time.time() - began, 3) if began else 0.0
