"""How much is computed for one small file: functions are counted, which no busy machine changes.

They were about 780 and 850, and CPU follows them. A band and not a number:
another Python, or another release of pydantic, counts a few differently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from contract.engine.corner import Bench

FEWEST, MOST = 250, 450


def counted(act: Callable[[], object]) -> int:
    """How many functions *act* calls, C's included."""
    calls = 0

    def count(_frame: object, event: str, _about: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("kind", ["upload", "download"])
def test_a_small_file_costs_few_calls(bench: Bench, kind: str) -> None:
    def one(number: int) -> dict[str, Any]:
        there = bench.b2(f"{number}")
        if kind == "download":
            return {"source": there, "destination": f"data://out/{number}"}
        return {"source": bench.put(f"{number}", bytes(16_384)), "destination": there}

    for number in range(6):
        source = bench.put(f"{number}", bytes(16_384))
        bench.run("upload", source=source, destination=bench.b2(f"{number}"))
    for number in range(3):  # a connection, an upload URL, what is found once
        bench.run(kind, **one(number))
    calls = []
    for number in range(3, 6):  # the collector may run in one of them, and a turn may be waited for
        attempt, request = bench.attempt(f"counted-{number}"), one(number)
        calls.append(counted(lambda: bench.run(kind, attempt, **request)))  # noqa: B023 - called at once
    assert FEWEST < min(calls) < MOST
