"""Bytes and requests a second, as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

UNLIMITED = "unlimited"
_NAMES = ("bytes_per_second", "requests_per_second")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*/\s*s\Z")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Rates:
    """Most bytes and requests a second of one account by all workers; None: no limit."""

    bytes_per_second: float | None = None
    requests_per_second: float | None = None

    def __str__(self) -> str:
        told = []
        if self.bytes_per_second is not None:
            told.append(f"{_bytes(self.bytes_per_second)}/s")
        if self.requests_per_second is not None:
            told.append(f"{self.requests_per_second:g} requests/s")
        return ", ".join(told) or UNLIMITED

    @classmethod
    def of(cls, told: Mapping[str, float]) -> Self:
        """Those that `amounts` gives; infinite is no limit."""
        found = (told.get(name, math.inf) for name in _NAMES)
        return cls(*(None if number == math.inf else number for number in found))


NO_LIMIT = Rates()


def amounts(value: str, *, of: str = "") -> dict[str, float]:
    """`2 MB/s, 50 requests/s` or `unlimited`, by the names of `Rates`; what is not named is left
    out. *of*: whose limit it is, for the error.

    Raises:
        ValueError: what is wrong with it, and how it is written.
    """
    if value == UNLIMITED:
        return dict.fromkeys(_NAMES, math.inf)
    told: dict[str, float] = {}
    for part in value.split(","):
        match = _AMOUNT.match(part.strip())
        unit = match[2] if match else ""
        name = "requests_per_second" if unit in ("request", "requests") else "bytes_per_second"
        if match is None or (name == "bytes_per_second" and unit not in _UNITS):
            raise ValueError(
                f"the limit {part.strip()!r:.60}{of} is not understood; write 500 kB/s, "
                "2 MB/s, 1.5 GiB/s or 50 requests/s"
            )
        amount = float(match[1]) * _UNITS.get(unit, 1)
        if not amount or name in told:
            raise ValueError(f"the limit {value!r:.60}{of} is 0, or says something twice")
        told[name] = amount
    return told


def _bytes(count: float) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:g} {unit}"
    return f"{count:g} B"
