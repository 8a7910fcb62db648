"""Following a job ends when what it runs on has ended."""

from __future__ import annotations

import io
from typing import cast

import pytest
from click.testing import CliRunner

import b2jobs
from b2jobs.cli import check
from b2jobs.cli.follow import StatusLine, follow
from b2jobs.cli.main import cli
from b2jobs.cli.session import Session
from b2jobs.handle import Handle
from b2jobs.local.child import StackFailed
from b2jobs.results import CheckResult
from b2jobs.testing import RecordingClient


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


@pytest.mark.parametrize(
    ("cannot", "status"), [({}, 0), ({"upload": ["writeFiles"]}, 1)], ids=["all", "not uploads"]
)
def test_check_ends_with_1_where_a_kind_cannot_be_served(
    monkeypatch: pytest.MonkeyPatch, cannot: dict[str, list[str]], status: int
) -> None:
    client = RecordingClient()
    client.answer("check", CheckResult(key_id="K005", cannot=cannot))
    monkeypatch.setattr(Session, "client", client)
    done = CliRunner().invoke(cli, ["check"])
    assert done.exit_code == status
    assert ("writeFiles" in done.output) == bool(cannot)


def test_check_waits_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "client", RecordingClient())
    monkeypatch.setattr(check, "_LONGEST_SECONDS", 0.1)
    done = CliRunner().invoke(cli, ["check"])
    assert isinstance(done.exception, b2jobs.WaitTimeout)
    assert check._LONGEST_SECONDS < 61
