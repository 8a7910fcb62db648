"""The command line as a person uses it: real processes, real Redis, the local B2."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from support import processes
from support.installation import Installation

COMMAND = [sys.executable, "-m", "b2jobs"]


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one line of JSON."""
        (line,) = self.lines
        return line

    @property
    def lines(self) -> list[Any]:
        """Every line of its stdout, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


def run(arguments: tuple[str, ...], env: Mapping[str, str], **options: Any) -> Ran:
    done = processes.run(*COMMAND, *arguments, env=env, **options)
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(stack: Installation) -> Run:
    """Runs `b2jobs ARGUMENTS...` against the stack that moves files."""
    return lambda *arguments, **env: run(arguments, stack.env(**env))


@pytest.fixture
def idle(installation: Installation) -> Run:
    """Runs `b2jobs ARGUMENTS...` against a queue that nobody serves."""
    return lambda *arguments, **env: run(arguments, installation.env(**env))


@pytest.fixture
def bucket(cli: Run, request: pytest.FixtureRequest) -> str:
    """A public bucket of this test."""
    name = f"b-{abs(hash(request.node.nodeid)):x}"[:50]
    assert cli("bucket", "create", name, "--type", "public", "--wait").status == 0
    return name
