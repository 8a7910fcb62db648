"""`make bench` says what became slower since the last recorded run."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import recorded


def test_ratios_are_found_among_what_is_printed_for_people() -> None:
    lines = ["| a table |", '{"seconds": 3}', '{"ratios": {"up": 0.3}}', '{"ratios": {"down": 2}}']
    assert recorded.told(lines) == {"up": 0.3, "down": 2}


def test_what_became_slower_is_said_and_noise_is_not() -> None:
    before = {"up": 0.30, "down": 0.50, "copy": 1.0}
    now = {"up": 0.36, "down": 0.25, "copy": 1.05, "new": 3.0}
    assert recorded.compared(before, now) == [
        "SLOWER by 20%: up: 0.3 -> 0.36 of its peer",
        "faster by 50%: down: 0.5 -> 0.25 of its peer",
        "as before: copy: 1 -> 1.05 of its peer",
    ]


def test_a_recorded_run_is_what_the_next_is_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    assert recorded.read(file) == {}
    recorded.record("engine", {"up": recorded.ratio(1, 3), "down": 0.5}, file)
    recorded.record("engine", {"up": 0.4}, file)  # of a run with one case only
    recorded.record("batch", {"up": 0.2}, file)
    assert recorded.read(file) == {"engine": {"up": 0.4, "down": 0.5}, "batch": {"up": 0.2}}
