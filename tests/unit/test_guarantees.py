"""docs/guarantees.md names tests that exist, and every fault test is named there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HOUSE = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_the_tests_named_in_the_guarantees_exist() -> None:
    named = NAMED.findall((HOUSE / "docs/guarantees.md").read_text())
    assert len(named) > 20
    assert [pair for pair in named if pair[1] not in names_in(HOUSE / pair[0])] == []


def test_what_the_fault_tests_of_delivery_show_is_promised() -> None:
    text = (HOUSE / "docs/guarantees.md").read_text()
    told_elsewhere = {
        "test_messages_of_other_applications_outlast_a_full_redis",
        "test_what_could_lose_jobs_is_said_at_the_start",
    }
    for name in ("test_dying_workers", "test_redis_away", "test_b2_trouble"):
        shown = names_in(HOUSE / "tests/faults" / f"{name}.py") - told_elsewhere
        assert [test for test in sorted(shown) if test not in text] == []
