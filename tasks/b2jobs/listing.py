"""Pages of jobs: from a place on, a page at a time, however many there are.

A page costs the same behind the first and behind the millionth job. A filter has no index: it
looks at a bounded number of jobs and says how many those were.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast, get_args

from b2jobs.errors import Failure, InvalidJob
from b2jobs.for_people import masked
from b2jobs.record import Record, record_of
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import moment
from b2jobs.requests import Priority, State

View = Literal[
    "open", "ended", "queued", "running", "waiting", "succeeded", "failed", "cancelled", "batches"
]
"""A state, several of them, or all batches and syncs."""

INTERNAL = frozenset({"pack", "ledger"})
"""Kinds that are parts of other jobs and stand in no list."""

MOST_LOOKED_AT = 5000
LOOK_SECONDS = 0.08
_CHUNK = 250
_GROUPS: dict[str, tuple[tuple[State, ...], ...]] = {
    "open": (("running",), ("waiting",), ("queued",)),
    "ended": (("succeeded", "failed", "cancelled"),),
}
_NEWEST = float("inf")
_OPEN = 1e12  # see list_batch in redis/shared/job.lua


@dataclass(frozen=True)
class Filter:
    """Which jobs are wanted; empty means any.

    `text` is a part of a source or a destination, as people see them; `destination` of what is
    written alone: where a job puts something, or what it deletes.
    """

    kind: str = ""
    code: str = ""
    account: str = ""
    text: str = ""
    destination: str = ""

    def __bool__(self) -> bool:
        return any((self.kind, self.code, self.account, self.text, self.destination))

    def wants(self, kind: str, request: str, failure: str) -> bool:
        """Whether a record with these fields, as they are stored, is meant."""
        if self.kind and kind != self.kind:
            return False
        if self.code and _value(failure, "code") != self.code:
            return False
        if self.account and (_value(request, "account") or "default") != self.account:
            return False
        if self.destination and not any(
            self.destination in masked(place) for place in _places(request, _WRITTEN)
        ):
            return False
        return not self.text or any(self.text in masked(place) for place in _places(request))


@dataclass(frozen=True)
class Page:
    """Some jobs of a view. *after*: where the next page begins; empty at the end.

    looked_at: how many jobs were looked at to find these.
    """

    records: list[Record]
    after: str
    looked_at: int


class _Place(NamedTuple):
    """Behind which job to go on: group of the view, score, id."""

    group: int
    score: float
    id: str

    def __str__(self) -> str:
        return f"{self.group}~{self.score!r}~{self.id}"


def page(
    records: Records,
    view: View,
    *,
    after: str = "",
    limit: int = 50,
    wanted: Filter | None = None,
) -> Page:
    """Up to *limit* jobs of *view* behind the place *after*, the latest first.

    With a filter, at most `MOST_LOOKED_AT` jobs are looked at, for about `LOOK_SECONDS`; what
    is found until then is the page, and its `after` goes on from there. A job that changes its
    state meanwhile may be missed, or seen twice.

    Raises:
        InvalidJob: *after* is no place.
        QueueUnavailable
    """
    wanted = wanted or Filter()
    groups = _groups(records, view)
    place: _Place | None = _read(after, len(groups))
    found: list[str] = []
    looked_at = 0
    end = time.monotonic() + LOOK_SECONDS
    more = True
    while more and len(found) < limit:
        chunk = _CHUNK if wanted else limit
        ids, more = _next(records, groups, place, chunk)
        for each, is_wanted in zip(ids, _wanted(records, ids, wanted), strict=True):
            place = each
            looked_at += 1
            if is_wanted:
                found.append(each.id)
                if len(found) == limit:
                    more = more or each is not ids[-1]
                    break
        if looked_at >= MOST_LOOKED_AT or time.monotonic() >= end:
            break
    return Page(_records(records, found), str(place) if more and place else "", looked_at)


def count(records: Records, view: View) -> int:
    """How many jobs there are in *view*, parts of batches included."""
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for group in _groups(records, view):
            for shelf in group:
                pipe.zcard(shelf)
        return sum(pipe.execute())


def ended_between(records: Records, moments: Sequence[float]) -> dict[State, list[int]]:
    """How many jobs ended from each of *moments* to the next, of those still listed, by state."""
    states: tuple[State, ...] = ("succeeded", "failed", "cancelled")
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for state in states:
            for begin, end in pairwise(moments):
                pipe.zcount(f"{records.prefix}{state}", begin, f"({end}")
        counts = iter(pipe.execute())
    return {state: [next(counts) for _ in moments[1:]] for state in states}


def oldest_queued(records: Records) -> float | None:
    """Since when the job waits that has been in line the longest, in seconds since 1970."""
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for shelf in records.shelves("queued"):
            pipe.zrange(shelf, 0, 0, withscores=True)
        first = [scores[0][1] for scores in pipe.execute() if scores]
    return min(first, default=None)


def queued(records: Records) -> dict[Priority, int]:
    """How many jobs are in line, by priority."""
    priorities: tuple[Priority, ...] = get_args(Priority)
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for shelf in records.shelves("queued"):
            pipe.zcard(shelf)
        return dict(zip(priorities, pipe.execute(), strict=True))


def open_batches(records: Records) -> int:
    """How many batches and syncs have not ended."""
    with unavailable(records.url):
        return int(records.redis.zcount(f"{records.prefix}batches", _OPEN, "+inf"))


def latest_failures(records: Records, most: int) -> Iterator[tuple[str, datetime, Failure]]:
    """The last *most* jobs that failed, the latest first: id, when, why. Cheaper than records."""
    key = f"{records.prefix}failed"
    with unavailable(records.url):
        ids = cast("list[str]", records.redis.zrange(key, 0, most - 1, desc=True))
        pipe = records.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hmget(f"{records.prefix}job:{job_id}", "ended", "failure")
        found = pipe.execute()
    for job_id, (ended, failure) in zip(ids, found, strict=True):
        then, values = moment(ended), _parsed(failure) if failure else None
        if then is not None and values is not None:
            yield job_id, then, values


@lru_cache(1000)
def _parsed(failure: str) -> Failure | None:
    """Many jobs fail alike."""
    try:
        return Failure.model_validate_json(failure)
    except ValueError:  # not written by us
        return None


def jobs_open(records: Records) -> int:
    """How many jobs are queued, waiting or running, without the parts of the latest batches."""
    batches = page(records, "batches", limit=50).records
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for batch in batches:
            pipe.zcard(f"{records.prefix}batch:{batch.id}:packs")
        parts: int = sum(pipe.execute())
    return max(0, count(records, "open") - parts)


def _groups(records: Records, view: View) -> list[list[str]]:
    if view == "batches":
        return [[f"{records.prefix}batches"]]
    states = _GROUPS.get(view) or ((cast("State", view),),)
    return [[shelf for state in group for shelf in records.shelves(state)] for group in states]


def _read(after: str, groups: int) -> _Place | None:
    if not after:
        return None
    try:
        group, score, job_id = after.split("~", 2)
        place = _Place(int(group), float(score), job_id)
    except ValueError:
        place = None
    if place is None or not 0 <= place.group < groups or place.score != place.score:
        raise InvalidJob(f"after is {after!r}.", hint="Begin with the first page.", field="after")
    return place


def _next(
    records: Records, groups: list[list[str]], place: _Place | None, most: int
) -> tuple[list[_Place], bool]:
    """The places behind *place*, and whether there are more behind these."""
    found: list[_Place] = []
    for number in range(place.group if place else 0, len(groups)):
        begin = place if place and place.group == number else _Place(number, _NEWEST, "")
        found += _of_group(records, groups[number], begin, most + 1 - len(found))
        if len(found) > most:
            break
    return found[:most], len(found) > most


def _of_group(records: Records, shelves: list[str], begin: _Place, most: int) -> list[_Place]:
    redis = records.redis
    with unavailable(records.url):
        pipe = redis.pipeline(transaction=False)
        for shelf in shelves:
            pipe.zrevrank(shelf, begin.id)
            pipe.zcount(shelf, f"({begin.score!r}", "+inf")
        ranks = pipe.execute()
        for n, shelf in enumerate(shelves):
            rank, above = ranks[2 * n : 2 * n + 2]
            first = rank + 1 if rank is not None else above
            pipe.zrange(shelf, first, first + most - 1, desc=True, withscores=True)
        pages = pipe.execute()
    merged = [_Place(begin.group, score, name) for each in pages for name, score in each]
    behind = [each for each in merged if (each.score, each.id) < (begin.score, begin.id)]
    return sorted(behind, key=lambda each: (each.score, each.id), reverse=True)[:most]


def _wanted(records: Records, ids: list[_Place], wanted: Filter) -> list[bool]:
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for each in ids:
            names = ("kind", "request", "failure") if wanted else ("kind",)
            pipe.hmget(f"{records.prefix}job:{each.id}", *names)
        found = pipe.execute()
    return [
        kind is not None
        and kind not in INTERNAL
        and (not more or wanted.wants(kind, more[0] or "", more[1] or ""))
        for kind, *more in found
    ]


def _records(records: Records, ids: list[str]) -> list[Record]:
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(f"{records.prefix}job:{job_id}")
        return [record_of(values) for values in pipe.execute() if "state" in values]


_WRITTEN = ("destination", "target")


def _places(
    request: str, names: Sequence[str] = ("source", "name", "manifest", *_WRITTEN)
) -> Iterator[str]:
    for name in names:
        value = _value(request, name)
        if isinstance(value, str):
            yield value


def _value(text: str, name: str) -> Any:
    try:
        return json.loads(text).get(name) if text else None
    except (ValueError, AttributeError, RecursionError):  # not written by us
        return None
