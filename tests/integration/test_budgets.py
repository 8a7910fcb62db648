"""Jobs that wait for their account's budget, and go on by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from b2jobs.cli.main import cli
from b2jobs.status import look
from support.emulator import LocalB2
from support.installation import Installation
from support.waiting import eventually

FILES = 40


@pytest.fixture
def limited(make_installation: Callable[..., Installation], own_b2: LocalB2) -> Installation:
    """One worker whose account has hardly any calls of class B; FILES files are in the bucket."""
    installation = make_installation(account=own_b2.account)
    first = installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    client = installation.client
    client.bucket("create", "some-bucket").wait(60)
    folder = installation.data / "up"
    folder.mkdir()
    for at in range(FILES):
        (folder / f"{at:02}.txt").write_text(str(at))
    client.batch("data://.my/up/", "b2://some-bucket/in/").wait(120)
    first.stop()  # it knew of no budget
    budget(installation, 5)
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    return installation


def budget(installation: Installation, class_b_calls: int) -> None:
    plain = installation.config.read_text().split("[budgets", 1)[0]
    beside = installation.config.with_suffix(".new")
    beside.write_text(f"{plain}[budgets.default]\nclass_b_calls = {class_b_calls}\n")
    beside.replace(installation.config)


def class_b(b2: LocalB2) -> int:
    calls = b2.faults.counters().calls
    names = ("b2_download_file_by_name", "b2_download_file_by_id", "b2_get_file_info")
    return sum(calls.get(name, 0) for name in names)


def test_jobs_batches_and_syncs_wait_for_the_budget_and_go_on(
    limited: Installation, own_b2: LocalB2
) -> None:
    client = limited.client
    batch = client.batch("b2://some-bucket/in/", "data://.my/down/")
    eventually(lambda: batch.status().reason == "budget", timeout=60)
    sync = client.sync("b2://some-bucket/in/", "data://.my/synced/")
    job = client.download("b2://some-bucket/in/00.txt", "data://.my/one.txt")
    eventually(lambda: job.record().reason == "budget", timeout=60)
    eventually(lambda: sync.status().reason == "budget", timeout=60)

    assert class_b(own_b2) == 5
    record = job.record()
    assert record.failure is not None
    assert (record.state, record.failure.code) == ("waiting", "budget_spent")
    midnight = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0)
    assert record.until is not None
    assert abs((record.until - midnight).total_seconds()) < 90
    found = look(client.records)
    assert found.troubles == []
    assert {each.reason for each in found.waiting} == {"budget"}
    [spent] = found.budgets
    assert (spent.used["b"], spent.most, spent.is_spent) == (5, {"b": 5}, True)
    where = ("--redis-url", limited.redis_url, "--key-prefix", limited.key_prefix)
    shown = CliRunner().invoke(cli, ["status", *where], catch_exceptions=False)
    assert "5 of 5 class B" in shown.output
    told = [event.details for event in client.events(job=job.id) if event.event == "waiting"]
    assert [(each["reason"], each["code"]) for each in told] == [("budget", "budget_spent")]

    budget(limited, 1000)

    assert job.wait(60).size == 1
    assert batch.wait(60).outcomes == {"transferred": FILES}
    assert sync.wait(60).outcomes == {"transferred": FILES}
    files = {path.name: path.read_text() for path in (limited.data / "down").iterdir()}
    assert files == {f"{at:02}.txt": str(at) for at in range(FILES)}
