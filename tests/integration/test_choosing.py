"""Age and size in batches and syncs, and batches again, by real workers in both directions."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from support.emulator import LocalB2
from support.installation import Installation
from support.synced import HOUR_MILLIS, Pair


@pytest.fixture
def pair(stack: Installation, local_b2: LocalB2) -> Pair:
    return Pair(stack, local_b2)


def test_a_batch_takes_what_is_old_and_small_enough_in_both_directions(pair: Pair) -> None:
    now = round(time.time() * 1000)
    client, chosen = pair.installation.client, {"min_age": 3600.0, "max_size": 10}
    for name, size, hours in (("in", 10, 2), ("large", 11, 2), ("young", 1, 0.5)):
        pair.write(name, b"x" * size, round(now - hours * HOUR_MILLIS))
        pair.put(f"there/{name}", b"x" * size, round(now - hours * HOUR_MILLIS))

    up = f"{pair.remote}up/"
    dry = client.batch(pair.local, up, dry_run=True, **chosen).wait(40)
    assert (dry.items, dry.size_bytes) == (1, 10)
    assert client.batch(pair.local, up, **chosen).wait(40).outcomes == {"transferred": 1}
    assert "up/in" in pair.there()

    down = f"{pair.local}down/"
    assert client.batch(f"{pair.remote}there/", down, **chosen).wait(40).outcomes == {
        "transferred": 1
    }
    assert sorted(path.name for path in (pair.folder / "down").iterdir()) == ["in"]


def test_a_sync_leaves_alone_what_is_too_young_or_too_large_on_either_side(pair: Pair) -> None:
    now = round(time.time() * 1000)
    old = now - 10 * HOUR_MILLIS
    pair.write("new", b"1", old)
    pair.write("young", b"1", now)
    pair.write("grown", b"x" * 100, old)
    pair.put("grown", b"x", old - HOUR_MILLIS)  # small still: the source has it, so it stays
    pair.put("gone", b"x", old)
    pair.put("gone-young", b"x", now)
    asked = {"delete": "remove", "max_delete": 1, "min_age": 3600.0, "max_size": 10}

    dry = pair.up(dry_run=True, **asked)
    assert dry.planned == ["remove gone (gone)", "transfer new (new, 1 bytes)"]
    assert dry.compared["passed_over"] == 3
    assert pair.up(**asked).outcomes == {"transferred": 1, "deleted": 1}
    assert sorted(pair.there()) == ["gone-young", "grown", "new"]
    assert pair.there()["grown"] == b"x"

    pair.write("new", b"1", now)  # nothing is old enough now, which is no empty source
    assert pair.up(**asked | {"min_age": 36_000_000.0}).items == 0


def test_a_batch_that_is_submitted_again_lists_instead_of_asking(
    own_b2: LocalB2, make_installation: Callable[..., Installation]
) -> None:
    pair = Pair(make_installation(account=own_b2.account), own_b2)
    pair.installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    names = [f"d{n % 5}/{n:04}" for n in range(400)]
    for name in names:
        pair.write(name, name)
    client, up = pair.installation.client, f"{pair.remote}up/"
    assert client.batch(pair.local, up, if_exists="skip").wait(60).outcomes == {"transferred": 400}

    def calls_of(**asked: Any) -> tuple[dict[str, int], Counter[str]]:
        pair.forget_calls()
        batch = client.batch(pair.local, up, if_exists="skip", **asked)
        result = batch.wait(60)
        return result.outcomes or {"dry": result.calls["b"]}, pair.calls()

    outcomes, calls = calls_of()
    assert outcomes == {"unchanged": 400}
    assert (calls["list_file_names"], calls["get_file_info_by_name"]) == (1, 0)
    assert (
        calls["upload_file"]
        == sum(count for name, count in calls.items() if "download" in name)
        == 0
    )

    pair.write("d0/0000", "other bytes")  # one differs, one is new: these two ask, and are sent
    pair.write("new", "new")
    dry, calls = calls_of(dry_run=True)
    assert dry == {"dry": 2}
    outcomes, calls = calls_of()
    assert outcomes == {"unchanged": 399, "transferred": 2}
    assert (calls["list_file_names"], calls["upload_file"]) == (1, 2)
    assert sum(calls.values()) <= 12

    mixed = [
        {"source": f"{pair.local}{name}", "destination": f"{up}{name}"}
        for name in random.Random(3).sample(names, len(names))
    ]
    pair.forget_calls()
    assert client.batch_items(mixed, if_exists="skip").wait(60).outcomes == {"unchanged": 400}
    assert pair.calls()["list_file_names"] <= 2
    assert sum(pair.calls().values()) <= 6

    down = f"{pair.local}down/"
    assert client.batch(up, down, if_exists="skip").wait(60).outcomes == {"transferred": 401}
    pair.forget_calls()
    assert client.batch(up, down, if_exists="skip").wait(60).outcomes == {"unchanged": 401}
    assert set(pair.calls()) <= {"list_file_names", "list_buckets", "authorize_account"}
    assert pair.calls()["list_file_names"] == 2  # what is planned, and what is there
