"""Batches and syncs that may cost so much: looked at before, counted during, gone on with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from b2jobs.batches import BatchHandle
from b2jobs.cli.main import cli
from b2jobs.errors import InvalidJob
from support.emulator import LocalB2
from support.installation import Installation
from support.waiting import eventually

FILES = 120
COPIES = 400
COPY = 0.0000044
"""What copying one file costs: a call of class C, and one of class B that looks at it."""


@pytest.fixture
def filled(make_installation: Callable[..., Installation], own_b2: LocalB2) -> Installation:
    installation = make_installation(account=own_b2.account)
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    folder = installation.data / "up"
    folder.mkdir()
    for at in range(FILES):
        (folder / f"{at:03}.txt").write_text(str(at))
    installation.client.bucket("create", "some-bucket").wait(60)
    installation.client.batch("data://.my/up/", "b2://some-bucket/in/").wait(120)
    return installation


def paused(batch: BatchHandle) -> dict[str, object]:
    """Why *batch* is paused, once it is and nothing of it runs."""
    eventually(
        lambda: batch.status().reason == "paused" and not batch.status().under_way.get("running"),
        timeout=60,
    )
    failure = batch.status().failure
    assert failure is not None
    return failure


def copies(b2: LocalB2) -> int:
    return b2.faults.counters().calls.get("b2_copy_file", 0)


def test_a_dry_run_that_costs_too_much_moves_nothing_until_it_may(
    filled: Installation, own_b2: LocalB2
) -> None:
    client = filled.client
    batch = client.batch("b2://some-bucket/in/", "b2://some-bucket/out/", max_cost=0.0002)
    why = paused(batch)
    assert why["code"] == "max_cost_reached"
    now = batch.status()
    assert (now.max_cost, now.moved_bytes, copies(own_b2)) == (0.0002, 0, 0)
    assert now.estimated_dollars == pytest.approx(FILES * COPY, rel=0.05)
    failure = batch.record().failure
    assert failure is not None
    assert failure.code == "max_cost_reached"
    events = [each for each in client.events(job=batch.id) if each.event == "paused"]
    assert [each.details for each in events] == [{"code": "max_cost_reached"}]
    with pytest.raises(InvalidJob, match="needs about"):
        batch.resume()
    with pytest.raises(InvalidJob, match="max_cost is"):
        batch.resume(max_cost=0.0003)

    where = ("--redis-url", filled.redis_url, "--key-prefix", filled.key_prefix)
    done = CliRunner().invoke(cli, ["batch", "resume", batch.id, "--max-cost", "0.01", *where])
    assert done.exit_code == 0, done.output
    result = batch.wait(60)
    assert (result.outcomes, copies(own_b2)) == ({"transferred": FILES}, FILES)

    sync = client.sync("b2://some-bucket/in/", "b2://some-bucket/synced/", max_cost=0.0002)
    assert paused(sync)["code"] == "max_cost_reached"
    assert copies(own_b2) == FILES
    sync.resume(max_cost=0.01)
    assert sync.wait(60).outcomes == {"transferred": FILES}


def test_the_meter_pauses_what_has_cost_too_much_and_it_goes_on(
    filled: Installation, own_b2: LocalB2
) -> None:
    # What streams in has no dry run beforehand. Slow copies, so that the meter can be in time.
    own_b2.faults.fault("latency", calls="b2_copy_file", seconds=0.5)
    most = 20
    items = [
        {
            "source": f"b2://some-bucket/in/{at % FILES:03}.txt",
            "destination": f"b2://some-bucket/streamed/{at}",
        }
        for at in range(COPIES)
    ]
    batch = filled.client.batch_items(items, max_cost=most * COPY)
    assert paused(batch)["code"] == "max_cost_reached"
    # 64 requests are under way at once, and a pack looks at its batch twice a second.
    assert most < copies(own_b2) <= COPIES * 3 // 4
    assert batch.status().dollars > most * COPY
    own_b2.faults.clear_faults()
    batch.resume(max_cost=1)
    assert batch.wait(60).outcomes == {"transferred": COPIES}
