"""Variables nobody knows: named with the nearest one, and never one of somebody else's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from b2jobs_worker.settings import Settings
from b2jobs_worker.variables import unknown

HOME = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("B2JOBS_SLOT", "B2JOBS_SLOT (did you mean B2JOBS_SLOTS?)"),
        ("B2JOBS_REDIS_ULR", "B2JOBS_REDIS_ULR (did you mean B2JOBS_REDIS_URL?)"),
        ("B2JOBS_CONFIG_FILE", "B2JOBS_CONFIG_FILE (did you mean B2JOBS_CONFIG?)"),
        ("b2jobs_slot", "b2jobs_slot (did you mean B2JOBS_SLOTS?)"),
        ("B2JOBS_PRICE__CLASS_A", "B2JOBS_PRICE__CLASS_A (did you mean B2JOBS_PRICES?)"),
        ("B2JOBS_WHATEVER_THIS_IS", "B2JOBS_WHATEVER_THIS_IS"),
        ("B2JOBS_", "B2JOBS_"),
    ],
)
def test_a_mistyped_variable_is_named_with_the_nearest(name: str, told: str) -> None:
    assert unknown({name: "1", "PATH": "/bin"}, Settings.model_fields) == [told]


@pytest.mark.parametrize(
    "name",
    [
        "B2JOBS_SLOTS",
        "b2jobs_slots",
        "B2JOBS_PRICES__CLASS_A_PER_THOUSAND",
        "B2JOBS_CONFIG",
        "B2JOBS_UID",
        "B2JOBS_TEST_REDIS_URL",
        # Kubernetes and Docker give these to every container beside services named b2jobs...
        "B2JOBS_SERVICE_HOST",
        "B2JOBS_REDIS_SERVICE_PORT",
        "B2JOBS_REDIS_SERVICE_PORT_REDIS",
        "B2JOBS_PORT",
        "B2JOBS_CONSOLE_PORT_8080_TCP",
        "B2JOBS_CONSOLE_PORT_8080_TCP_ADDR",
        "B2JOBSFOO",
        "_B2JOBS_COMPLETE",
    ],
)
def test_what_belongs_to_somebody_is_left_alone(name: str) -> None:
    assert unknown({name: "x"}, Settings.model_fields) == []


def test_every_variable_of_this_repository_is_known() -> None:
    """A new variable goes into `Settings`, or into the list of those that others read."""
    named: set[str] = set()
    for pattern in ("tasks/**/*.py", "worker/**/*.py", "bench/**/*.py", "docs/*.md", "*.md",
                    "docker-compose.yml", "Dockerfile", "docker/*", "Makefile"):  # fmt: skip
        for path in HOME.glob(pattern):
            named |= set(re.findall(r"(?<![\w])B2JOBS_[A-Z][A-Z_]*[A-Z]\b", path.read_text()))
    for path in (HOME / "tests").rglob("*.py"):
        if path != Path(__file__):
            named |= set(re.findall(r"environ[^\n]*[\"'](B2JOBS_[A-Z_]+)", path.read_text()))
    assert {"B2JOBS_SLOTS", "B2JOBS_CONFIG", "B2JOBS_UID"} <= named
    examples = {"B2JOBS_PRICES__CLASS_A_PER_THOUSAND"}
    assert unknown(dict.fromkeys(named - examples, "1"), Settings.model_fields) == []
