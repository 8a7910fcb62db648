"""The example applications pass their own tests, the one against a real worker included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.installation import Installation

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["fastapi", "django"])
def test_an_example_passes_its_own_tests(stack: Installation, name: str) -> None:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", ".")
    env = {**stack.env(), "PYTHONPATH": "."}
    done = subprocess.run(
        [*command, "-c", "/dev/null"],
        cwd=EXAMPLES / name,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
