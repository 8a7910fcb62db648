"""What became slower since the last recorded run, told by ratios to a peer in the same run.

A program of the bench prints, beside what it prints for people, JSON objects with `ratios`:
what was measured, divided by what a peer took in turns with it (less is better). Machines and
their load differ from day to day; a peer that ran between our rounds met the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

FILE = Path(__file__).with_name("recorded.json")
SLOWER = 1.15
"""By how much a ratio must have grown to be named; rounds of one run differ by about as much."""


def told(lines: Iterable[str]) -> dict[str, float]:
    """The ratios among the lines that a program has printed."""
    found: dict[str, float] = {}
    for line in lines:
        if line.startswith("{") and '"ratios"' in line:
            found |= json.loads(line).get("ratios", {})
    return found


def ratio(ours: float, peer: float) -> float:
    """*ours* in *peer*s, to three digits."""
    return float(f"{ours / peer:.3g}")


def read(file: Path = FILE) -> dict[str, dict[str, float]]:
    """The ratios of the last recorded run, by the name of the program."""
    recorded: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    return recorded


def record(name: str, now: Mapping[str, float], file: Path = FILE) -> None:
    """Keep *now* as the last run of program *name*; what it did not measure stays."""
    kept = read(file)
    kept[name] = {**kept.get(name, {}), **now}
    file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def compared(before: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """One sentence for each ratio that was recorded: slower, faster, or neither."""
    return [
        f"{_verdict(value / before[what])}: {what}: {before[what]:g} -> {value:g} of its peer"
        for what, value in now.items()
        if before.get(what)
    ]


def _verdict(change: float) -> str:
    if change >= SLOWER:
        return f"SLOWER by {change - 1:.0%}"
    return f"faster by {1 - change:.0%}" if change <= 1 / SLOWER else "as before"
