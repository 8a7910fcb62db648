"""`b2jobs sync` and `b2jobs schedule` as a person uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.emulator import LocalB2
from support.installation import Installation
from support.synced import Pair
from support.waiting import eventually

Run = Callable[..., Any]


@pytest.fixture
def pair(stack: Installation, local_b2: LocalB2) -> Pair:
    return Pair(stack, local_b2)


def test_sync(cli: Run, pair: Pair) -> None:
    pair.write("a/b.txt", "12345")
    dry = cli("sync", pair.local, pair.remote, "--dry-run")
    assert dry.status == 0
    assert dry.out.splitlines()[0] == "transfer a/b.txt (new, 5 bytes)"
    assert pair.there() == {}

    done = cli("sync", pair.local, pair.remote, "--wait", "--timeout", "60")
    assert done.status == 0, done.err
    assert pair.there() == {"a/b.txt": b"12345"}

    pair.put("1")
    pair.put("2")
    refused = cli("sync", pair.local, pair.remote, "--delete", "remove", "--wait")
    assert refused.status == 1
    assert "too_much_to_delete" in refused.err
    assert cli("sync", pair.local, pair.local).status == 2
    assert cli("sync", pair.remote, pair.local, "--delete", "hide").status == 2


@pytest.fixture
def name(cli: Run) -> Iterator[str]:
    yield "hourly-check"
    cli("schedule", "remove", "hourly-check")


def test_schedules(cli: Run, pair: Pair, name: str) -> None:
    pair.write("a")
    arguments = [f"source={pair.local}", f"destination={pair.remote}", "keep_days=30"]
    added = cli("schedule", "add", name, "sync", *arguments, "--cron", "0 3 * * *", "--json")
    assert added.status == 0, added.err
    assert added.json["next"].endswith("T03:00:00+00:00")
    assert added.json["arguments"]["keep_days"] == 30

    started = cli("schedule", "run", name, "--wait", "--json")
    assert started.status == 0, started.err
    assert pair.there() == {"a": b"x"}
    runs = eventually(
        lambda: [
            run
            for line in cli("schedule", "list", "--json").lines
            for run in line["runs"]
            if run["state"] == "succeeded"
        ]
    )
    assert runs[0]["result"]["outcomes"] == {"transferred": 1}
    shown = cli("schedule", "list").out
    assert name in shown
    assert "succeeded, 1 transferred" in shown

    assert cli("schedule", "remove", name).status == 0
    assert cli("schedule", "remove", name).status == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["add", "x", "check", "--cron", "61 * * * *"], "invalid_schedule"),
        (["add", "x", "check"], "invalid_schedule"),
        (["add", "x", "nothing", "--every", "1h"], "invalid_schedule"),
        (["run", "nobody"], "unknown_schedule"),
        (["remove", "nobody"], "unknown_schedule"),
    ],
)
def test_what_cannot_be_scheduled_is_said(cli: Run, words: list[str], code: str) -> None:
    ran = cli("schedule", *words)
    assert ran.status == 2
    assert code in ran.err
