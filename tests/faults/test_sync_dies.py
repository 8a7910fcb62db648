"""A sync whose workers are killed in the middle, twice: every file once, nothing lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.emulator import LocalB2
from support.installation import Installation
from support.synced import HOUR_MILLIS, LONG_AGO, Pair
from support.waiting import eventually

FILES = 600


@pytest.fixture
def pair(own_b2: LocalB2, make_installation: Callable[..., Installation]) -> Pair:
    return Pair(make_installation(account=own_b2.account), own_b2)


def start(pair: Pair, name: str) -> Callable[[], None]:
    """Start a worker of one process; returns how to kill it."""
    worker = pair.installation.start_celery(
        name, app="b2jobs_worker.celery.app", slots=4, B2JOBS_PROCESSES="1"
    )
    return worker.kill


@pytest.mark.timeout(240)
def test_killed_twice_in_the_middle_every_file_is_there_once(pair: Pair) -> None:
    for number in range(FILES):
        pair.write(f"{number % 5}/{number:04}", f"content {number}")
    for number in range(20):
        pair.put(f"old/{number}")
    pair.local_b2.admin(
        "POST", "faults", {"fault": "latency", "calls": "b2_upload_file", "seconds": 0.05}
    )
    handle = pair.installation.client.sync(
        pair.local, pair.remote, delete="remove", max_delete=1, priority="normal"
    )

    for round_, share in enumerate((0.2, 0.5)):
        kill = start(pair, f"w{round_}")
        eventually(
            lambda share=share: handle.status().finished_items >= FILES * share,  # type: ignore[misc]  # bound at once
            timeout=90,
            what=lambda: str(handle.status()),
        )
        kill()
    start(pair, "last")
    result = handle.wait(120)

    assert result.status == "complete"
    assert result.outcomes == {"transferred": FILES, "deleted": 20}
    assert pair.versions() == {name: ["upload"] for name in pair.here()}
    assert pair.there() == pair.here()
    left = pair.installation.leftovers()
    assert not [key for key in left if "sync-plan" in key or "pack" in key]
    again = pair.up(delete="remove")
    assert again.items == 0


@pytest.mark.timeout(240)
def test_downloads_killed_in_the_middle_leave_whole_files_and_no_part_files(pair: Pair) -> None:
    for number in range(200):
        pair.put(f"{number:03}", f"content {number}".encode())
    pair.write("gone", "x", LONG_AGO + HOUR_MILLIS)
    pair.local_b2.admin(
        "POST", "faults", {"fault": "latency", "calls": "b2_download_file_by_*", "seconds": 0.05}
    )
    handle = pair.installation.client.sync(
        pair.remote, pair.local, delete="remove", max_delete=1, priority="normal"
    )
    kill = start(pair, "first")
    eventually(lambda: handle.status().finished_items >= 60, timeout=90)
    kill()
    start(pair, "second")
    result = handle.wait(120)

    assert result.outcomes == {"transferred": 200, "deleted": 1}
    assert pair.here() == {f"{number:03}": f"content {number}".encode() for number in range(200)}
    assert all(pair.millis(name) == LONG_AGO for name in pair.here())
