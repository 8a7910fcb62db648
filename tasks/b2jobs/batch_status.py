"""How a batch stands: what Redis knows of it and of its packs, read at once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from b2jobs.errors import Failure, JobNotFound
from b2jobs.ledger import DONE, UNDONE
from b2jobs.record import Record
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import failure as failure_of
from b2jobs.redis.values import json_object, moment, number, whole
from b2jobs.requests import State

MAX_COST_REACHED = "max_cost_reached"
_OF_A_PACK = ("state", "reason", "until", "progress", "failure")
MOST_TROUBLES = 20


@dataclass(frozen=True)
class BatchStatus:
    """All that is known of a batch now.

    state: as of any job, but `running` while packs are under way.
    reason: why nothing moves, in one word; empty while something does.
    items, size_bytes: planned so far; total_items and total_bytes where all is known.
    under_way: packs that are queued, running or waiting, by state.
    moving_bytes: of files that are not finished.
    refused, samples: lines of the manifest that cannot be done, and the first of them.
    troubles: what the packs that have failed for now wait for, with the file's name.
    failure: the code, message and hint of what a waiting batch waits for, where it has failed
        for now: its plan, or the pack that goes on first; or why it is paused, if nobody has
        asked for that.
    max_cost: dollars it may use; estimated_dollars is what its dry run has said before.
    """

    job: str
    state: State
    reason: str = ""
    until: str | None = None
    items: int = 0
    size_bytes: int = 0
    total_items: int | None = None
    total_bytes: int | None = None
    planned_all: bool = False
    outcomes: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    moved_bytes: int = 0
    moving_bytes: int = 0
    packs: int = 0
    under_way: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    samples: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    failure: dict[str, Any] | None = None
    calls: dict[str, int] = field(default_factory=dict)
    dollars: float = 0.0
    max_cost: float | None = None
    estimated_dollars: float | None = None
    ledger_bytes: int = 0
    seconds: float = 0.0

    @property
    def finished_items(self) -> int:
        return sum(self.outcomes.values())

    @property
    def failed_items(self) -> int:
        return self.outcomes.get("failed", 0)

    def as_json(self) -> dict[str, Any]:
        """As `b2jobs batch show --json` prints it; absent fields are left out."""
        return {name: value for name, value in self.__dict__.items() if value not in (None, "")}


def status(records: Records, batch: str) -> BatchStatus:
    """See `BatchStatus`.

    Raises:
        JobNotFound, QueueUnavailable
    """
    record = records.get(batch)
    found, packs = _read(records, batch)
    if record.kind not in ("batch", "sync"):
        raise JobNotFound(f"The job {batch!r} is a {record.kind}, not a batch.")
    under_way: dict[str, int] = {}
    moving = 0
    for state, _, _, progress, _ in packs:
        under_way[state or "gone"] = under_way.get(state or "gone", 0) + 1
        if state == "running" and progress:
            moving += whole(json_object(progress).get("done"))
    state, reason, until = _standing(records, record, found, packs)
    began = number(found.get("began"))
    ended = number(found.get("ended")) or time.time()
    return BatchStatus(
        job=batch,
        state=state,
        reason=reason,
        until=until,
        items=whole(found.get("planned")),
        size_bytes=whole(found.get("planned_bytes")),
        total_items=_number(found, "total_items"),
        total_bytes=_number(found, "total_bytes"),
        planned_all=bool(found.get("planned_all")),
        outcomes=_outcomes(found),
        codes={
            name.removeprefix("code:"): whole(count)
            for name, count in sorted(found.items())
            if name.startswith("code:") and whole(count) > 0
        },
        moved_bytes=whole(found.get("moved_bytes")),
        moving_bytes=moving,
        packs=whole(found.get("packs")),
        under_way=under_way,
        refused=whole(found.get("refused")),
        samples=_samples(found.get("samples")),
        troubles=_troubles(failure for *_, failure in packs),
        failure=_over(record, found)
        or (_awaited(record, packs) if state == "waiting" and reason != "paused" else None),
        max_cost=number(found["max_cost"]) if found.get("max_cost") else None,
        estimated_dollars=number(found["estimate"]) if found.get("estimate") else None,
        calls={name: whole(found.get(f"calls_{name}")) for name in "abc"},
        dollars=round(number(found.get("dollars")), 9),
        ledger_bytes=whole(found.get("ledger_bytes")),
        seconds=round(ended - began, 3) if began else 0.0,
    )


def as_it_stands(records: Records, record: Record) -> Record:
    """A batch's or sync's *record* with the state, reason and time of `status`: what moves is its
    packs, while the job that plans them waits. Any other record as it is.

    Raises:
        QueueUnavailable
    """
    if record.kind not in ("batch", "sync") or record.has_ended:
        return record
    state, reason, until = _standing(records, record, *_read(records, record.id))
    moment = datetime.fromisoformat(until) if until else None
    return replace(record, state=state, reason=reason, until=moment)


def _read(records: Records, batch: str) -> tuple[dict[str, str], list[Any]]:
    """A batch's hash, and of each pack under way what `_OF_A_PACK` names."""
    key = f"{records.prefix}batch:{batch}"
    with unavailable(records.url):
        found = cast("dict[str, str]", records.redis.hgetall(key))
        names = cast("list[str]", records.redis.zrange(f"{key}:packs", 0, -1))
        pipe = records.redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(f"{records.prefix}job:{name}", *_OF_A_PACK)
        return found, pipe.execute()


def _samples(text: str | None) -> list[str]:
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return list(map(str, found)) if isinstance(found, list) else []


def _standing(
    records: Records, record: Record, found: dict[str, str], packs: list[Any]
) -> tuple[State, str, str | None]:
    """State, reason and until when: of the packs, while they are what the batch waits for."""
    until = record.until.isoformat() if record.until else None
    if record.has_ended:
        return record.state, "", None
    states = [state for state, *_ in packs]
    if "running" in states or record.state == "running":
        return "running", "", None
    if found.get("paused"):
        return "waiting", "paused", None
    waiting = [(reason, due) for state, reason, due, *_ in packs if state == "waiting"]
    if "queued" in states:
        return "queued", records.waiting_for(_as_queued(record)), None
    if waiting:
        reason, due = min(waiting, key=lambda each: number(each[1]))
        then = moment(due)
        return "waiting", reason, then.isoformat(timespec="seconds") if then else None
    return record.state, records.waiting_for(record), until


def _awaited(record: Record, packs: list[Any]) -> dict[str, Any] | None:
    waiting = [(due, text) for state, _, due, _, text in packs if state == "waiting" and text]
    if waiting:
        return json_object(min(waiting, key=lambda each: number(each[0]))[1])
    if record.state == "waiting" and record.reason != "window" and record.failure:
        return record.failure.model_dump()
    return None


def _over(record: Record, found: dict[str, str]) -> dict[str, Any] | None:
    """Why a batch is paused that nobody has paused."""
    if record.has_ended or not found.get("over"):
        return None
    used, most = number(found.get("dollars")), number(found.get("max_cost"))
    estimate = number(found.get("estimate"))
    return over_cost(record.id, used, estimate, most).model_dump()


def over_cost(batch: str, used: float, estimate: float, most: float) -> Failure:
    """Why a batch is paused because of its cost."""
    told = f"has cost ${used:.6g}" if used > most else f"would cost about ${estimate:.6g}"
    return Failure(
        code="max_cost_reached",
        message=f"The batch {told}; its max_cost is ${most:g}.",
        hint=f"Let it go on with more: `b2jobs batch resume {batch} --max-cost DOLLARS`; or cancel "
        "it.",
        act="caller",
    )


def _troubles(failures: Iterable[str | None]) -> list[str]:
    """The different ones of *failures*, as `code: message`, the first few."""
    read = [found for failure in failures if (found := failure_of(failure))]
    told = dict.fromkeys(f"{each.code}: {each.message}" for each in read)
    return list(told)[:MOST_TROUBLES]


def _as_queued(record: Record) -> Record:
    return Record(id=record.id, kind=record.kind, state="queued", priority=record.priority)


def _outcomes(found: dict[str, str]) -> dict[str, int]:
    return {
        name: count for name in (*DONE, *UNDONE) if (count := whole(found.get(f"n:{name}"))) > 0
    }


def _number(found: dict[str, str], name: str) -> int | None:
    text = found.get(name)
    return whole(text) if text else None
