"""Following a job ends when what it runs on has ended."""

from __future__ import annotations

import io
from typing import cast

import pytest

from b2jobs.cli.follow import StatusLine, follow
from b2jobs.handle import Handle
from b2jobs.local.child import StackFailed


class Waiting:
    """A job that never ends."""

    id = "a-job"
    looks = 0

    def record(self) -> object:
        self.looks += 1

        class Record:
            has_ended, state, reason, until, failure = False, "queued", "", None, None
            priority = "normal"

        return Record()

    def reason(self) -> str:
        return "in_line"


def test_a_stack_that_has_died_ends_the_waiting() -> None:
    """`demo` waited for a day when its worker or its B2 had died."""
    job = Waiting()

    def check() -> None:
        if job.looks >= 2:
            raise StackFailed("worker ended with status 1.")

    with pytest.raises(StackFailed, match="worker ended"):
        follow(cast("Handle", job), 60, line=StatusLine(io.StringIO()), check=check)
    assert job.looks == 2
