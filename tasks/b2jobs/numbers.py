"""What the whole fleet did, by the minute, by the day and of all time: the reading side.

Workers and producers count in the steps in which things happen (redis/shared/count.lua), in
hashes of Redis whose names are of the words below, joined by `|`; see docs/numbers.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import whole

BOUNDS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
"""Upper ends of the histograms' buckets; the last one, without an end, comes behind them."""
MINUTE, HOUR, DAY = 60, 3600, 86400
_NANO = 1_000_000_000
_PAGE = 1500


@dataclass(frozen=True, order=True)
class JobCount:
    """Jobs that ended alike; items of batches likewise, with their action as *kind*.

    code: of the failure; empty for what succeeded.
    """

    kind: str
    state: str
    code: str
    count: int


@dataclass(frozen=True)
class Histogram:
    """How long something took: *counts* for each of `BOUNDS_SECONDS`, and for longer ones."""

    counts: tuple[int, ...]
    seconds: float

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean_seconds(self) -> float:
        return self.seconds / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The upper end of the bucket in which *share* (0 to 1) of all are reached; 0 for none."""
        left = share * self.count
        for bound, count in zip((*BOUNDS_SECONDS, float("inf")), self.counts, strict=True):
            left -= count
            if left <= 0 and self.count:
                return bound
        return 0.0


@dataclass(frozen=True)
class Numbers:
    """What happened from *since* on, for *seconds*. Add them up with `summed`."""

    since: datetime
    seconds: float
    amounts: Mapping[str, int] = field(default_factory=dict)

    def jobs(self) -> list[JobCount]:
        """Jobs that ended, by kind, state and code. Parts of batches are not among them."""
        return self._ended("job")

    def items(self) -> list[JobCount]:
        """Items of batches and syncs, by action, status and code."""
        return self._ended("item")

    def submitted(self) -> dict[str, int]:
        """Jobs that were accepted, by kind."""
        return {words[0]: amount for words, amount in self._named("submitted", 1)}

    def retries(self) -> dict[tuple[str, str], int]:
        """Attempts that are made again, by what they wait for and the failure's code."""
        return {(words[0], words[1]): amount for words, amount in self._named("again", 2)}

    def recoveries(self) -> int:
        """How often a job was taken from a worker that showed no life."""
        return self.amounts.get("lost", 0)

    def refused(self) -> dict[str, int]:
        """What had no good signature (by its code) or seal (by what it stood as): docs/security.md.

        What is looked at again is refused, and counted, again.
        """
        return {words[0]: amount for words, amount in self._named("refused", 1)}

    def accounts(self) -> list[str]:
        """Accounts that were used."""
        names = ("calls", "bytes")
        return sorted({words[0] for name in names for words, _ in self._named(name, 2)})

    def calls(self, account: str | None = None) -> dict[str, int]:
        """Calls of B2 by class: a, b, c; of one account or of all."""
        return self._by("calls", account, ("a", "b", "c"))

    def moved_bytes(self, account: str | None = None) -> dict[str, int]:
        """Bytes to (`up`) and from (`down`) B2, as HTTP bodies."""
        return self._by("bytes", account, ("up", "down"))

    def dollars(self, account: str | None = None) -> float:
        """What the calls cost, without B2's free allowance; the workers' `prices` count."""
        found = self._named("nanodollars", 1)
        return sum(amount for words, amount in found if account in (None, words[0])) / _NANO

    def waited(self, kind: str | None = None) -> Histogram:
        """From submitting to the first attempt, of jobs of *kind* or of all."""
        return self._histogram("wait", kind)

    def ran(self, kind: str | None = None) -> Histogram:
        """From the first attempt to the end, the time between attempts included."""
        return self._histogram("run", kind)

    def kinds(self) -> list[str]:
        """Kinds of job there is a histogram of."""
        return sorted({words[0] for name in ("wait", "run") for words, _ in self._named(name, 2)})

    def _named(self, name: str, words: int) -> list[tuple[list[str], int]]:
        """The amounts whose names are *name* and so many *words*; others are not ours."""
        split = ((each.split("|"), amount) for each, amount in self.amounts.items())
        return [
            (found[1:], amount)
            for found, amount in split
            if found[0] == name and len(found) == 1 + words
        ]

    def _ended(self, name: str) -> list[JobCount]:
        found = [
            JobCount(words[0], words[1], words[2], amount) for words, amount in self._named(name, 3)
        ]
        return sorted(found, key=lambda each: (-each.count, each))

    def _by(self, name: str, account: str | None, parts: tuple[str, ...]) -> dict[str, int]:
        found = dict.fromkeys(parts, 0)
        for (whose, part), amount in self._named(name, 2):
            if account in (None, whose) and part in found:
                found[part] += amount
        return found

    def _histogram(self, name: str, kind: str | None) -> Histogram:
        counts = [0] * (len(BOUNDS_SECONDS) + 1)
        milliseconds = 0
        for (whose, bucket), amount in self._named(name, 2):
            if kind not in (None, whose):
                continue
            if bucket == "ms":
                milliseconds += amount
            elif bucket.isdecimal() and 1 <= int(bucket) <= len(counts):
                counts[int(bucket) - 1] += amount
        return Histogram(tuple(counts), milliseconds / 1000)


def summed(numbers: Iterable[Numbers]) -> Numbers:
    """All of them as one, from the earliest on."""
    amounts: Counter[str] = Counter()
    since, seconds = datetime.now(UTC), 0.0
    for each in numbers:
        amounts.update(each.amounts)
        since, seconds = min(since, each.since), seconds + each.seconds
    return Numbers(since, seconds, amounts)


def minutes(records: Records, count: int) -> list[Numbers]:
    """Each of the last *count* minutes, the one that goes on as the last.

    Raises:
        QueueUnavailable
    """
    now, found = _read(records, MINUTE, "numbers:", count)
    return _dated(now, MINUTE, found)


def hours(records: Records, count: int) -> list[Numbers]:
    """Each of the last *count* hours, up to 15 days, the one that goes on as the last.

    Raises:
        QueueUnavailable
    """
    return _folded(records, HOUR, "numbers:hour:", count)


def days(records: Records, count: int) -> list[Numbers]:
    """Each of the last *count* days (UTC), today as the last, up to now.

    Raises:
        QueueUnavailable
    """
    return _folded(records, DAY, "numbers:day:", count)


def totals(records: Records) -> Numbers:
    """Everything ever counted: none of it gets less.

    Raises:
        QueueUnavailable
    """
    now = _now(records)
    with unavailable(records.url):
        key = f"{records.prefix}numbers:total"
        pipe = records.redis.pipeline(transaction=True)
        pipe.hgetall(key)
        last = int(now // MINUTE)
        recent = range(last - 61, last + 2)
        for minute in recent:
            pipe.hgetall(f"{records.prefix}numbers:{minute}")
        total, *found = pipe.execute()
    folded = whole(total.pop("folded", 0))
    amounts = _counts(total)
    for minute, each in zip(recent, found, strict=True):
        if minute > folded:
            amounts.update(_counts(each))
    return Numbers(datetime.fromtimestamp(0, UTC), now, amounts)


def _folded(records: Records, size: int, name: str, count: int) -> list[Numbers]:
    """Hours or days, with the minutes that the keeper has not added to them yet."""
    now, found = _read(records, size, name, count)
    with unavailable(records.url):
        folded = whole(records.redis.hget(f"{records.prefix}numbers:total", "folded"))
        last = int(now // MINUTE)
        minutes = range(max(folded + 1, last - 61), last + 1)
        pipe = records.redis.pipeline(transaction=False)
        for minute in minutes:
            pipe.hgetall(f"{records.prefix}numbers:{minute}")
        rest = pipe.execute()
    for minute, amounts in zip(minutes, rest, strict=True):
        at = minute * MINUTE // size - int(now // size)  # 0 is the last of them
        if amounts and -count < at <= 0:
            found[at - 1] = _with(found[at - 1], _counts(amounts))
    return _dated(now, size, found)


def _read(records: Records, size: int, name: str, count: int) -> tuple[float, list[Any]]:
    now = _now(records)
    last = int(now // size)
    wanted = range(last - count + 1, last + 1)
    found: list[Any] = []
    for first in range(0, count, _PAGE):
        with unavailable(records.url):
            pipe = records.redis.pipeline(transaction=False)
            for number in wanted[first : first + _PAGE]:
                pipe.hgetall(f"{records.prefix}{name}{number}")
            found += [_counts(each) for each in pipe.execute()]
    return now, found


def _dated(now: float, size: int, found: list[Counter[str]]) -> list[Numbers]:
    """*found* with the time each of them covers; the last one is not over."""
    last = int(now // size)
    starts = range(last - len(found) + 1, last + 1)
    return [
        Numbers(
            datetime.fromtimestamp(0, UTC) + timedelta(seconds=start * size),
            min(float(size), now - start * size),
            amounts,
        )
        for start, amounts in zip(starts, found, strict=True)
    ]


def _with(amounts: Counter[str], more: Counter[str]) -> Counter[str]:
    return Counter(amounts + more)


def _counts(found: dict[str, str]) -> Counter[str]:
    return Counter({name: whole(amount) for name, amount in found.items()})


def _now(records: Records) -> float:
    with unavailable(records.url):
        seconds, microseconds = records.redis.time()
    return seconds + microseconds / 1_000_000
