"""Charts as SVG, made here: stacked bars over time, with a table for whoever cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from b2jobs_console import words

WIDTH, HEIGHT, FLOOR = 720, 180, 150
_LEFT, _TOP = 96, 12
_MOST_LABELS, _LABEL_WIDTH, _DAY = 6, 60, 86400


@dataclass(frozen=True)
class Series:
    """One colour of the bars: *name* is a word, and the class of its shapes."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    name: str


@dataclass(frozen=True)
class Chart:
    """What the template draws. *moments*: the beginning of each bar. *is_level*: values are how
    much there is at that moment, so that their sum means nothing."""

    title: str
    moments: Sequence[float]
    series: Sequence[Series]
    unit: str = ""
    is_level: bool = False

    @property
    def highest(self) -> float:
        value = max((sum(column) for column in self._columns()), default=0)
        if self.unit != "bytes":
            return nice(value)
        power = 1
        while power * 1024 <= value:
            power *= 1024
        return nice(value / power) * power

    @property
    def total(self) -> float:
        return sum(sum(each.values) for each in self.series)

    def bars(self) -> list[Bar]:
        columns = self._columns()
        step = (WIDTH - _LEFT) / max(1, len(columns))
        found = []
        for n, column in enumerate(columns):
            base = float(FLOOR)
            for series, value in zip(self.series, column, strict=True):
                height = value / self.highest * (FLOOR - _TOP) if value else 0.0
                if value:
                    height = max(height, 1.5)  # one failure among a million is still seen
                    x, y = round(_LEFT + n * step + 0.5, 1), round(base - height, 1)
                    bar = Bar(x, y, round(max(1.0, step - 1), 1), round(height, 1), series.name)
                    found.append(bar)
                base -= height
        return found

    def columns(self) -> list[tuple[float, float, str]]:
        """Where each bar stands, its width, and what it says."""
        step = (WIDTH - _LEFT) / max(1, len(self._columns()))
        found = []
        for n, column in enumerate(self._columns()):
            parts = [
                f"{series.name} {self.said(value)}"
                for series, value in zip(self.series, column, strict=True)
                if value
            ]
            text = f"{_hour(self.moments[n])}: {', '.join(parts) or 'nothing'}"
            found.append((round(_LEFT + n * step, 1), round(step, 1), text))
        return found

    def lines(self) -> list[tuple[float, str]]:
        """Height and label of the lines across."""
        return [
            (round(FLOOR - part * (FLOOR - _TOP), 1), self.said(self.highest * part))
            for part in ((0, 0.5, 1) if self.unit or self.highest > 1 else (0, 1))
        ]

    def labels(self) -> list[tuple[float, str]]:
        """Place and text of the times below: the time of day, or the date where bars are days."""
        count = len(self._columns())
        step = (WIDTH - _LEFT) / max(1, count)
        every = max(1, -(-count // _MOST_LABELS))
        form = "%d %b" if self._are_days() else "%H:%M"
        found = [(round(_LEFT + n * step, 1), n) for n in range(0, count, every)]
        return [
            (x, datetime.fromtimestamp(self.moments[n], UTC).strftime(form))
            for x, n in found
            if x < WIDTH - _LABEL_WIDTH
        ]

    def rows(self) -> list[tuple[str, list[str]]]:
        """The same as a table, without the times at which nothing was."""
        return [
            (_hour(self.moments[n]), [self.said(value) for value in column])
            for n, column in enumerate(self._columns())
            if any(column)
        ]

    def summary(self, series: Series) -> str:
        """What the legend says of a series: its last value, or the sum; of times the longest."""
        if self.unit == "seconds":
            return f"up to {self.said(max(series.values))}"
        return self.said(series.values[-1] if self.is_level else sum(series.values))

    def _are_days(self) -> bool:
        return len(self.moments) > 1 and self.moments[1] - self.moments[0] >= _DAY

    def said(self, value: float) -> str:
        if self.unit == "bytes":
            return words.size(value)
        if self.unit == "seconds":
            return words.lasting(value)
        return words.dollars(value) if self.unit == "dollars" else words.number(value)

    def _columns(self) -> list[tuple[float, ...]]:
        return list(zip(*(each.values for each in self.series), strict=True))


def nice(value: float) -> float:
    """A round number that is not below *value*: 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


def _hour(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %H:%M")
