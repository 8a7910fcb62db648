"""The end of a batch: its summary and its state."""

from __future__ import annotations

import json
import time

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
    """End the batch: succeeded when every item is done, else failed."""
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
    desk.store.end(desk.attempt, state, failure, said)


def _seconds(state: dict[str, str]) -> float:
    began = float(state.get("began", 0))
    return round(time.time() - began, 3) if began else 0.0
