"""Batches, syncs and policies between two accounts of B2, through workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import b2jobs
from support.emulator import LocalB2
from support.installation import Installation
from support.synced import LONG_AGO, Pair

CONTENTS = {f"{n % 3}/{n:02}": f"content {n}".encode() for n in range(12)}


@pytest.fixture
def other_b2(tmp_path: Path) -> Iterator[LocalB2]:
    other = LocalB2(tmp_path / "other", "--data", str(tmp_path / "other" / "data"))
    yield other
    other.close()


def test_a_bucket_moves_to_another_account_and_stays_in_step(
    local_b2: LocalB2, other_b2: LocalB2, make_installation: Callable[..., Installation]
) -> None:
    installation = make_installation()
    accounts = {"default": local_b2.account, "new": other_b2.account}
    installation.write_secrets({"accounts": accounts})
    with installation.config.open("a") as config:
        config.write('\n[policy.queues.high]\naccounts = ["new"]\n')
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    old, new = Pair(installation, local_b2), Pair(installation, other_b2)
    for name, content in CONTENTS.items():
        old.put(name, content)
    between = {"account": "new", "source_account": "default"}

    first = new.run(old.remote, new.remote, **between)

    assert first.outcomes == {"transferred": 12}
    assert new.there() == CONTENTS
    again = new.run(old.remote, new.remote, **between)
    assert (again.items, again.compared["unchanged"]) == (0, 12)
    assert again.calls["c"] >= 2  # both listings are paid for
    old.put("0/03", b"changed", millis=LONG_AGO + 1_000)
    old.bucket.hide_file("0/06")
    changed = new.run(old.remote, new.remote, delete="remove", **between)
    assert changed.outcomes == {"transferred": 1, "deleted": 2}
    assert new.there() == old.there()

    batch = installation.client.batch(old.remote, f"{new.remote}copy/", **between)
    assert batch.wait(40).outcomes == {"transferred": 11}
    line = next(each for each in batch.lines() if each["destination"].endswith("copy/0/09"))
    assert (line["status"], len(line["sha1"])) == ("transferred", 40)

    old.write(
        "manifest.jsonl",
        "\n".join(
            json.dumps(line)
            for line in (
                {"source": f"{old.remote}0/09", "destination": f"{new.remote}x", **between},
                {"source": f"{new.remote}x", "destination": f"{old.local}y", "account": "new"},
                {"source": f"{old.remote}0/09", "destination": f"{old.local}z"},
            )
        ),
    )
    mixed = installation.client.batch(f"{old.local}manifest.jsonl", if_exists="replace")
    try:
        mixed.wait(40)
    except b2jobs.JobFailed:
        mixed.retry(only_failed=True)  # the second line may have come before the first
        mixed.wait(40)
    assert (old.folder / "y").read_bytes() == (old.folder / "z").read_bytes() == b"content 9"

    with pytest.raises(b2jobs.JobFailed, match="policy_refused"):
        installation.client.copy(
            f"{old.remote}0/09", f"{new.remote}z", priority="high", **between
        ).wait(40)
