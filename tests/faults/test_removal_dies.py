"""Removing a prefix as a batch: killed in the middle, every deletion is in the report."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable

import pytest

from b2jobs.errors import JobFailed
from support.emulator import LocalB2
from support.filled import fill
from support.installation import Installation
from support.processes import Process
from support.synced import Pair
from support.waiting import eventually

NAMES = 200


@pytest.fixture
def pair(own_b2: LocalB2, make_installation: Callable[..., Installation]) -> Pair:
    pair = Pair(make_installation(account=own_b2.account), own_b2)
    fill(pair.bucket, [f"in/{n:04}" for n in range(NAMES)])
    fill(pair.bucket, ["in/0000", "in/0001", "inside", "out"])
    return pair


def start(pair: Pair, name: str) -> Process:
    return pair.installation.start_celery(
        name, app="b2jobs_worker.celery.app", B2JOBS_PROCESSES="1"
    )


@pytest.mark.timeout(240)
def test_killed_twice_every_deletion_is_reported_and_nothing_else_is_touched(pair: Pair) -> None:
    pair.bucket.hide_file("in/0002")
    pair.api.session.start_large_file(pair.bucket.id_, "in/begun", "text/plain", {})
    slow = {"fault": "latency", "calls": "b2_delete_file_version", "seconds": 0.03}
    pair.local_b2.admin("POST", "faults", slow)
    worker = start(pair, "first")
    batch = pair.installation.client.batch_delete(f"{pair.remote}in/", "all", priority="normal")
    for number, share in enumerate((0.2, 0.6)):
        eventually(
            lambda share=share: batch.status().finished_items >= NAMES * share,  # type: ignore[misc]  # bound at once
            timeout=90,
            what=lambda: str(batch.status()),
        )
        worker.kill()
        worker = start(pair, f"again{number}")
    fill(pair.bucket, ["in/new", "in/0199"])  # written meanwhile: they stay
    result = batch.wait(120)
    # 200 names, two of them twice, a marker, a file that was begun.
    assert result.outcomes == {"deleted": NAMES + 4}
    assert pair.versions() == {name: ["upload"] for name in ("in/0199", "in/new", "inside", "out")}
    lines = list(batch.lines())
    assert {line["action"] for line in lines} == {"delete"}
    assert {line["status"] for line in lines} == {"deleted"}
    assert len({line["destination"] for line in lines}) == NAMES + 1
    report = "\n".join(batch.report())
    assert json.loads(report.splitlines()[-1])["summary"]["lines"] == NAMES + 4


def b2jobs(pair: Pair, *words: str) -> subprocess.CompletedProcess[str]:
    return pair.installation.run(*words)


@pytest.mark.timeout(240)
def test_a_dry_run_removes_nothing_and_a_terminal_is_asked(pair: Pair) -> None:
    start(pair, "w")
    prefix = f"{pair.remote}in/"
    dry = b2jobs(pair, "delete", prefix, "--include", "000?", "--dry-run")
    assert dry.stdout.splitlines()[:2] == [f"delete {prefix}0000", f"delete {prefix}0001"]
    assert "items       10" in dry.stdout, dry.stdout
    assert len(pair.versions()) == NAMES + 2

    assert asked(pair, "n", "delete", prefix) == (130, True)
    assert len(pair.versions()) == NAMES + 2
    removed = b2jobs(pair, "delete", prefix, "--exclude", "00*", "--wait", "--json")
    assert removed.returncode == 0, removed.stderr
    assert json.loads(removed.stdout)["deleted"] == NAMES - 100
    assert asked(pair, "y", "delete", prefix, "--wait", "--min-age", "0s") == (0, True)
    assert asked(pair, "", "delete", prefix, "--yes", "--wait", "--versions", "all") == (0, False)
    assert set(pair.versions()) == {"inside", "out"}
    wrong = b2jobs(pair, "delete", f"{pair.remote}out", "--min-age", "1d")
    assert (wrong.returncode, "`--min-age` goes with a prefix" in wrong.stderr) == (2, True)


def asked(pair: Pair, answer: str, *words: str) -> tuple[int, bool]:
    """Run a command on a terminal and type *answer*: its exit code, and whether it asked."""
    terminal, own = pty.openpty()
    os.write(terminal, f"{answer}\n".encode())
    with os.fdopen(own, "r+b", buffering=0) as screen:
        done = pair.installation.run(*words, stdin=screen)
    os.close(terminal)
    return done.returncode, "will be removed. Go on?" in done.stderr


def test_what_is_locked_stays_hidden_and_is_told(pair: Pair) -> None:
    start(pair, "w")
    locked = {"fault": "access_denied", "calls": "b2_delete_file_version", "name": "in/0003"}
    pair.bucket.hide_file("in/0003")
    pair.local_b2.admin("POST", "faults", locked)
    batch = pair.installation.client.batch_delete(f"{pair.remote}in/", "all", priority="normal")
    with pytest.raises(JobFailed):
        batch.wait(60)
    assert [line["destination"] for line in batch.lines() if line["status"] == "failed"] == [
        f"{pair.remote}in/0003"
    ]
    assert pair.versions()["in/0003"] == ["hide", "upload"]
