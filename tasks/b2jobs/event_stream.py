"""What happens to jobs, as it happens: the reading side of the stream that the scripts write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from b2jobs.errors import InvalidJob
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import json_object, moment
from b2jobs.requests import KINDS, PUBLIC_KINDS

EventName = Literal[
    "submitted",
    "refused",
    "started",
    "waiting",
    "progress",
    "paused",
    "resumed",
    "cancelling",
    "handed_back",
    "lost",
    "regained",
    "retried",
    "ended",
    "missed",
]
"""See docs/events.md for what each means and carries."""

NAMES: tuple[EventName, ...] = get_args(EventName)
FIRST, NOW = "first", "now"
_PAGE = 500
_LONGEST_BLOCK_SECONDS = 1.0
_ID = re.compile(r"\d{1,15}(-\d{1,20})?\Z")


@dataclass(frozen=True)
class Event:
    """One change of one job.

    id: its place in the stream; later events have greater ones.
    job, kind: whose; parts of a batch tell nothing of their own.
    details: what more is known, by name (docs/events.md).
    """

    id: str
    at: datetime
    event: EventName
    job: str = ""
    kind: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As `b2jobs events --json` prints it."""
        own = {"id": self.id, "at": self.at.isoformat(timespec="milliseconds")}
        return {**own, "event": self.event, "job": self.job, "kind": self.kind, **self.details}


class EventReader:
    """Reads on behind the last event it gave. For one thread at a time."""

    def __init__(
        self,
        records: Records,
        after: str = FIRST,
        *,
        kinds: Collection[str] = (),
        job: str | None = None,
    ) -> None:
        """Begin behind the event *after*, with the first one kept, or with what comes from `now`.

        Raises:
            InvalidJob: *after* is no event's id, or a kind is unknown.
        """
        if isinstance(kinds, str):
            kinds = (kinds,)
        for kind in kinds:
            if kind not in KINDS:
                raise InvalidJob(
                    f"There is no kind of job named {kind!r}.",
                    code="unknown_kind",
                    hint=f"Known are {', '.join(PUBLIC_KINDS)}.",
                    field="kinds",
                )
        if after not in (FIRST, NOW) and not _ID.match(after):
            raise InvalidJob(
                f"after is {after!r}.",
                hint="Give the id of an event, `first` or `now`.",
                field="after",
            )
        self._records = records
        self._key = f"{records.prefix}events"
        self._kinds = frozenset(kinds)
        self._job = job
        self._last = "0-0" if after == FIRST else after
        self._may_have_missed = after not in (FIRST, NOW)

    def read(self, seconds: float = 0.0) -> list[Event]:
        """The next events, waiting up to *seconds* for the first; none where nothing came.

        A read may come back empty although more is to come: where all it read was of others.
        `self.has_more` says whether it stopped in the middle.

        Raises:
            QueueUnavailable
        """
        redis = self._records.redis
        with unavailable(self._records.url):
            if self._last == NOW:
                latest = cast("list[Any]", redis.xrevrange(self._key, count=1))
                self._last = latest[0][0] if latest else "0-0"
            missed = self._missed() if self._may_have_missed else []
            # A call of Redis has one time; half of it is for the connection there is.
            most = min(_LONGEST_BLOCK_SECONDS, self._records.timeout_seconds / 4)
            block = max(1, int(1000 * min(seconds, most))) if seconds > 0 else None
            found = cast(
                "list[Any]", redis.xread({self._key: self._last}, count=_PAGE, block=block)
            )
        entries = found[0][1] if found else []
        self.has_more = len(entries) == _PAGE
        if entries:
            self._last = entries[-1][0]
        return missed + [each for each in map(_event, entries) if self._is_wanted(each)]

    has_more = False

    def _missed(self) -> list[Event]:
        """A mark where the events behind the one that was named are not kept any more."""
        self._may_have_missed = False
        first = cast("list[Any]", self._records.redis.xrange(self._key, count=1))
        if not first or place_of(first[0][0]) <= place_of(self._last):
            return []
        if cast("list[Any]", self._records.redis.xrange(self._key, self._last, self._last)):
            return []
        return [Event(self._last, _moment(self._last), "missed")]

    def _is_wanted(self, event: Event) -> bool:
        return (not self._kinds or event.kind in self._kinds) and self._job in (None, event.job)


def latest(
    records: Records, most: int, *, kinds: Collection[str] = (), job: str | None = None
) -> list[Event]:
    """The last *most* events that are kept, the oldest of them first.

    Raises:
        QueueUnavailable
    """
    reader = EventReader(records, kinds=kinds, job=job)
    found: list[Event] = []
    before = "+"
    while len(found) < most:
        with unavailable(records.url):
            page = cast(
                "list[Any]", records.redis.xrevrange(f"{records.prefix}events", before, count=_PAGE)
            )
        found += [each for each in map(_event, page) if reader._is_wanted(each)]
        if len(page) < _PAGE:
            break
        before = f"({page[-1][0]}"
    return found[:most][::-1]


def read_events(reader: EventReader, *, follow: bool) -> Iterator[Event]:
    """What *reader* reads: what is kept and, with *follow*, for ever what comes.

    Raises:
        QueueUnavailable: go on with the id of the last event.
    """
    for page in pages(reader, follow=follow):
        yield from page


def pages(reader: EventReader, *, follow: bool) -> Iterator[list[Event]]:
    """`read_events` by what one read gives: with *follow*, an empty one each second at least."""
    while True:
        yield reader.read(_LONGEST_BLOCK_SECONDS if follow else 0)
        if not follow and not reader.has_more:
            return


def _event(entry: tuple[str, dict[str, str]]) -> Event:
    place, values = entry
    return Event(
        id=place,
        at=_moment(place),
        event=cast("EventName", values.get("event", "")),
        job=values.get("job", ""),
        kind=values.get("kind", ""),
        details=_details(json_object(values.get("more"))),
    )


def _details(more: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty; cjson writes an empty table as an object."""
    due = moment(more.pop("until", None))
    if due:
        more["until"] = due.isoformat(timespec="milliseconds")
    return more


def place_of(identity: str) -> tuple[int, int]:
    """Where in the stream an event stands: of two, the later one has the greater place."""
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number or 0)


def _moment(identity: str) -> datetime:
    return datetime.fromtimestamp(place_of(identity)[0] / 1000, UTC)


def history(
    records: Records, job: str, begin: datetime, end: datetime, *, most: int = 2000
) -> tuple[list[Event], bool]:
    """What is kept of one job between two moments, and whether all between them was looked at.

    The first *most* and the last *most* events of that time are, whosever they are.

    Raises:
        QueueUnavailable
    """
    low, high = (int(moment.timestamp() * 1000) for moment in (begin, end))
    with unavailable(records.url):
        pipe = records.redis.pipeline(transaction=False)
        pipe.xrange(f"{records.prefix}events", low, high + 1, count=most)
        pipe.xrevrange(f"{records.prefix}events", high + 1, low, count=most)
        first, last = pipe.execute()
    found = {entry[0]: _event(entry) for entry in [*first, *last] if entry[1].get("job") == job}
    is_all = len(first) < most or place_of(first[-1][0]) >= place_of(last[-1][0])
    return sorted(found.values(), key=lambda event: place_of(event.id)), is_all
