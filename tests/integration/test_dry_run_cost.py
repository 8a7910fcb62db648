"""What a dry run says it would cost, next to the calls that B2 counts when it is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from b2jobs_worker.b2.prices import Prices
from support.emulator import LocalB2
from support.installation import Installation

FILES = 240
BUCKET = "b2://some-bucket"
TWO_CALLS = Prices().dollars({"c": 2})
"""So much may always be between them: of a few calls one is more than five percent."""


@pytest.fixture
def warm(make_installation: Callable[..., Installation], own_b2: LocalB2) -> Installation:
    """One process that is authorised and knows the bucket, as it is from its first job on."""
    installation = make_installation(account=own_b2.account)
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    folder = installation.data / "up"
    folder.mkdir()
    for at in range(FILES):
        (folder / f"{at:05}.txt").write_text(str(at))
    (folder / "large.bin").write_bytes(bytes(40 * 2**20))  # comes down in three requests
    installation.client.bucket("create", "some-bucket").wait(60)
    installation.client.upload("data:,x", f"{BUCKET}/first.txt").wait(60)
    return installation


def counted(b2: LocalB2) -> tuple[dict[str, int], float]:
    """Billed calls by class, and dollars, of what the local B2 has seen since it was asked last."""
    classes = b2.faults.counters().classes
    b2.faults.clear_journal()
    calls = {name: classes.get(name.upper(), 0) for name in "bc"}
    return calls, Prices().dollars(calls)


def test_a_dry_run_is_within_five_percent_of_what_b2_counts(
    warm: Installation, own_b2: LocalB2
) -> None:
    client = warm.client
    counted(own_b2)
    measured: dict[str, float] = {}

    def compare(name: str, ask: Callable[..., Any], few: float = TWO_CALLS) -> None:
        planned = ask(dry_run=True).wait(120)
        counted(own_b2)
        done = ask().wait(240)
        found, dollars = counted(own_b2)
        measured[name] = dollars
        assert planned.dollars == pytest.approx(dollars, rel=0.05, abs=few), (
            name,
            planned.calls,
            found,
        )
        assert done.dollars == pytest.approx(dollars, rel=0.05, abs=few), (
            name,
            done.calls,
            found,
        )

    up, inside, down = "data://.my/up/", f"{BUCKET}/a/", "data://.my/down/"
    compare("batch up", partial(client.batch, up, inside))
    compare("batch up again", partial(client.batch, up, inside, if_exists="skip"))
    compare("batch down", partial(client.batch, inside, down))
    compare("batch inside", partial(client.batch, inside, f"{BUCKET}/b/"))
    compare("sync up", partial(client.sync, up, f"{BUCKET}/c/"))
    compare("sync down", partial(client.sync, inside, "data://.my/synced/"))
    compare("sync inside", partial(client.sync, inside, f"{BUCKET}/d/"))
    compare("delete latest", partial(client.batch_delete, f"{BUCKET}/b/", "latest"))
    # It lists once more for hide markers, and looks each second whether the rest is gone.
    gone = partial(client.batch_delete, f"{BUCKET}/d/", "all")
    compare("delete all", gone, few=4 * TWO_CALLS)
    for path in (warm.data / "up").iterdir():
        path.unlink()
    (warm.data / "up" / "last.txt").write_text("last")
    removing = partial(client.sync, up, f"{BUCKET}/c/", delete="remove", max_delete=1)
    compare("sync removing", removing)
    assert measured["batch inside"] > 0.001
