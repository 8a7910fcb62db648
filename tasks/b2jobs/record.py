"""One job as Redis has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from b2jobs.errors import Failure
from b2jobs.for_people import masked_all
from b2jobs.redis.values import failure as failure_of
from b2jobs.redis.values import json_object, moment, number, whole
from b2jobs.requests import ENDED, Priority, State
from b2jobs.results import without_content
from b2jobs.tracing import trace_id


@dataclass(frozen=True)
class Record:
    """One job as Redis has it. Times are aware and UTC; None where it has not happened.

    staged_bytes: how many its producer handed over with it.
    trace: the id of the trace its producer was in.
    """

    id: str
    kind: str
    state: State
    reason: str = ""
    until: datetime | None = None
    priority: Priority = "normal"
    key: str = ""
    request: dict[str, Any] = field(default_factory=dict)
    staged_bytes: int | None = None
    retry_seconds: float = 0.0
    attempts: int = 0
    lost: int = 0
    worker: str = ""
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    signature: str = field(default="", repr=False)
    trace: str = ""

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    def as_json(self, *, is_listed: bool = False) -> dict[str, Any]:
        """The record as `b2jobs job show --json` prints it; absent fields are left out.

        Locations are as people see them: no bytes, and nothing that opens a URL.
        *is_listed*: without the content that a download has brought.
        """
        found: dict[str, Any] = {}
        for name, value in self.__dict__.items():
            if isinstance(value, datetime):
                found[name] = value.isoformat()
            elif isinstance(value, Failure):
                found[name] = value.model_dump()
            elif value not in (None, "", {}) and name != "signature":
                found[name] = masked_all(value) if name == "request" else value
        if is_listed and self.result:
            found["result"] = without_content(self.result)
        return found


_MEASURED: dict[str, Callable[[object], float]] = {"done": whole, "total": whole, "rate": number}


def record_of(values: Mapping[str, str]) -> Record:
    """A record from what Redis has of it, whatever that is: what cannot be read is left out."""
    progress = json_object(values.get("progress"))
    measured = {name: read(progress[name]) for name, read in _MEASURED.items() if name in progress}
    result = json_object(values.get("result"))
    return Record(
        id=values.get("id", ""),
        kind=values.get("kind", ""),
        state=cast("State", values.get("state", "")),
        reason=values.get("reason", ""),
        until=moment(values.get("until")),
        priority=cast("Priority", values.get("priority", "normal")),
        key=values.get("key", ""),
        signature=values.get("signature", ""),
        request=json_object(values.get("request")),
        staged_bytes=whole(values["staged_bytes"]) if "staged_bytes" in values else None,
        retry_seconds=number(values.get("retry")),
        attempts=whole(values.get("attempts")),
        lost=whole(values.get("lost")),
        worker=values.get("worker", ""),
        created=moment(values.get("created")),
        started=moment(values.get("started")),
        ended=moment(values.get("ended")),
        progress={**progress, **measured},
        result=result or None,
        failure=failure_of(values.get("failure")),
        trace=trace_id(values.get("trace", "")),
    )
