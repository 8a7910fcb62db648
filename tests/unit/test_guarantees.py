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


def test_what_the_fault_tests_show_is_promised() -> None:
    text = (HOUSE / "docs/guarantees.md").read_text()
    told_elsewhere = {
        "test_messages_of_other_applications_outlast_a_full_redis",
        "test_what_could_lose_jobs_is_said_at_the_start",
    }
    shown = {
        f"{path.relative_to(HOUSE)}::{test}"
        for path in (HOUSE / "tests/faults").glob("test_*.py")
        for test in names_in(path) - told_elsewhere
    }
    untold = sorted(test for test in shown if f"`{test}`" not in text)
    assert not untold, "\n".join(["not in docs/guarantees.md:", *untold])
