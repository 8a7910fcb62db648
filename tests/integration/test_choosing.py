"""Age and size in batches and syncs, by real workers in both directions, and in dry runs."""

from __future__ import annotations

import time

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
