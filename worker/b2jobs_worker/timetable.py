"""Limits by the hour and weekday: the table `[limits]` of the config file.

    [limits]
    "22:00-06:00 Europe/Berlin" = "unlimited"
    "Mon-Fri 08:00-18:00 Europe/Berlin" = "2 MB/s, 50 requests/s"
    "Sat,Sun" = { bytes_per_second = 20_000_000 }

A window goes by the wall clock of its zone (UTC unless named), so it keeps to its hours when
the clocks change: an hour that comes twice is in it twice, one that is left out is not. One
that ends before it begins goes on into the next day, and its weekdays are those of its begin.
Where several windows hold, the lowest number counts, of bytes and of requests each; where none
says anything, the settings `bytes_per_second` and `requests_per_second` do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from b2jobs.rates import NO_LIMIT, Rates, amounts

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60

_TIMES = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})\Z")
_WRITE = 'write "22:00-06:00 Europe/Berlin", "Mon-Fri 08:00-18:00" or "Sat,Sun"'


@dataclass(frozen=True)
class Window:
    """Hours of weekdays, and what holds in them. A name that is not in *says* is left alone."""

    text: str
    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo
    says: Mapping[str, float]

    def holds_at(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return day in self.days
        return minute < self.end and (day - 1) % 7 in self.days


@dataclass(frozen=True)
class Timetable:
    """What holds when. *base* is what holds where no window says anything."""

    windows: tuple[Window, ...] = ()
    base: Rates = NO_LIMIT

    def at(self, moment: datetime) -> Rates:
        """The limits at *moment* (with its zone)."""
        now = [window.says for window in self.windows if window.holds_at(moment)]

        def lowest(name: str, base: float | None) -> float | None:
            told = [says[name] for says in now if name in says]
            least = min(told, default=math.inf if base is None else base)
            return None if least == math.inf else least

        return Rates(
            lowest("bytes_per_second", self.base.bytes_per_second),
            lowest("requests_per_second", self.base.requests_per_second),
        )

    def next_change(self, moment: datetime) -> datetime | None:
        """When other limits hold than at *moment*; None where that is not within eight days.

        Windows begin and end with a minute, as do all changes of clocks.
        """
        if not self.windows:
            return None
        held = self.at(moment)
        minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(8 * MINUTES_A_DAY):
            minute += timedelta(minutes=1)
            if self.at(minute) != held:
                return minute
        return None


def timetable(limits: Mapping[str, object], base: Rates = NO_LIMIT) -> Timetable:
    """Read the table *limits*.

    Raises:
        ValueError: names the window, what is wrong with it, and how it is written.
    """
    return Timetable(tuple(_window(text, value) for text, value in limits.items()), base)


def _window(text: str, value: object) -> Window:
    days, times, zone = frozenset(range(7)), (0, MINUTES_A_DAY), ZoneInfo("UTC")
    words = text.split()
    said = False
    if words and (found := _days(words[0])) is not None:
        days, words, said = found, words[1:], True
    if words and (match := _TIMES.match(words[0])) is not None:
        times, words, said = _minutes(text, match), words[1:], True
    if len(words) > 1 or not said:
        raise ValueError(f"the window {text!r} is not understood; {_WRITE}")
    if words:
        zone = _zone(text, words[0])
    return Window(text, days, *times, zone, _says(text, value))


def _days(word: str) -> frozenset[int] | None:
    """`Mon-Fri`, `Sat,Sun`, `Fri-Mon`; None for something else."""
    found: set[int] = set()
    for part in word.lower().split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            return None
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return frozenset(found)


def _minutes(text: str, match: re.Match[str]) -> tuple[int, int]:
    numbers = [int(group) for group in match.groups()]
    begin, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if max(numbers[1], numbers[3]) > 59 or begin >= MINUTES_A_DAY or end > MINUTES_A_DAY:
        raise ValueError(f"the window {text!r} has a time that no clock shows; {_WRITE}")
    if begin == end:
        raise ValueError(f"the window {text!r} is empty; a whole day is 00:00-24:00")
    return begin, end or MINUTES_A_DAY


def _zone(text: str, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"the window {text!r} names {name!r}, which is no time zone") from error


def _says(text: str, value: object) -> dict[str, float]:
    names = ("bytes_per_second", "requests_per_second")
    if isinstance(value, str):
        return amounts(value, of=f" of {text!r}")
    if not isinstance(value, Mapping) or not value or set(value) - set(names):
        raise ValueError(
            f'the limit {value!r:.60} of {text!r} is not "2 MB/s, 50 requests/s", "unlimited" or a '
            f"table of {' and '.join(names)}"
        )
    for number in value.values():
        if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
            raise ValueError(f"the limit {number!r} of {text!r} is not a number above 0")
    return {str(name): float(number) for name, number in value.items()}
