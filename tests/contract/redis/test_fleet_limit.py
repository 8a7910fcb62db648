"""A limit that is set by command: for every worker, before its config file, until it is lifted."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from b2jobs import keyfile
from b2jobs.cli.main import cli
from b2jobs.errors import InvalidJob, QueueUnavailable
from b2jobs.fleet_limit import FleetLimit, FleetLimits
from b2jobs.keyfile import WORKERS
from b2jobs.rates import Rates
from b2jobs.records import Records
from b2jobs.signing import Ring
from b2jobs_worker import live_limits
from b2jobs_worker.live_limits import LiveLimits
from b2jobs_worker.settings import Settings

MakeRecords = Callable[..., Records]


@pytest.fixture
def make(redis_url: str) -> Iterator[MakeRecords]:
    """Records of one installation, with any keys."""
    prefix = f"t{uuid.uuid4().hex[:8]}:"
    made: list[Records] = []

    def records(ring: Ring | None = None) -> Records:
        made.append(Records(redis_url, prefix, 10.0, ring or Ring()))
        return made[-1]

    yield records
    if made:
        made[0].redis.delete(*made[0].redis.keys(f"{prefix}*") or ["x"])


@pytest.mark.parametrize(
    ("said", "rates"),
    [
        ("2 MB/s, 50 requests/s", Rates(2e6, 50.0)),
        (" 500 kB/s ", Rates(5e5, None)),
        ("1 request/s", Rates(None, 1.0)),
        ("unlimited", Rates()),
    ],
)
def test_what_is_set_holds_until_it_is_lifted(make: MakeRecords, said: str, rates: Rates) -> None:
    limits = FleetLimits(make())
    assert limits.get() is None
    assert limits.set(said) == FleetLimit(rates)
    assert FleetLimits(make()).get() == limits.heeded() == FleetLimit(rates)
    assert limits.lift()
    assert not limits.lift()
    assert limits.heeded() is None


def test_it_ends_by_itself(make: MakeRecords) -> None:
    records = make()
    limits = FleetLimits(records)
    set_ = limits.set("1 MB/s", seconds=100)
    assert set_.until == pytest.approx(time.time() + 100, abs=5)
    assert 0 < records.redis.ttl(f"{records.prefix}limit") <= 100


@pytest.mark.parametrize("said", ["", "2", "2 MB", "0 MB/s", "1 MB/s, 2 MB/s", "2 mb/s", "\x1b/s"])
def test_what_is_no_limit_is_refused_and_changes_nothing(make: MakeRecords, said: str) -> None:
    limits = FleetLimits(make())
    with pytest.raises(InvalidJob) as caught:
        limits.set(said)
    assert caught.value.field == "limit"
    for seconds in (0, -1, float("inf"), float("nan")):
        with pytest.raises(InvalidJob, match="for is"):
            limits.set("1 MB/s", seconds=seconds)
    assert limits.get() is None


def test_workers_keep_to_it_before_their_file(
    make: MakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOOK_SECONDS", "ASK_SECONDS"):
        monkeypatch.setattr(live_limits, name, 1e-9)
    monkeypatch.setattr(live_limits, "within", lambda _: nullcontext())
    limits, now = FleetLimits(make()), [time.time()]
    away = [False]

    def heeded() -> FleetLimit | None:
        if away[0]:
            raise QueueUnavailable("away")
        return limits.heeded()

    settings = Settings.model_construct(
        bytes_per_second=5000.0, requests_per_second=None, limits={"00:00-24:00": "3 requests/s"}
    )
    live = LiveLimits(settings, clock=lambda: datetime.fromtimestamp(now[0], UTC), fleet=heeded)
    assert live.rates() == Rates(5000.0, 3.0)

    limits.set("2 MB/s", seconds=60)
    assert live.rates() == Rates(2e6, None)
    assert set(live.told()) == {"now", "until"}
    away[0] = True
    assert live.rates() == Rates(2e6, None), "while Redis is away it stays"
    now[0] += 61
    assert live.rates() == Rates(5000.0, 3.0), "but not beyond its time"
    away[0] = False
    limits.set("unlimited")
    assert live.rates() == Rates()
    limits.lift()
    assert live.rates() == Rates(5000.0, 3.0)


def test_where_signatures_are_required_only_the_operator_sets_one(
    make: MakeRecords, tmp_path: Path
) -> None:
    keys = [keyfile.new_key(WORKERS), keyfile.new_key("shop")]
    keyfile.write(tmp_path / "all.json", keys)
    keyfile.write(tmp_path / "shop.json", keys[1:])
    ring = Ring(tmp_path / "all.json", required=True)
    told: list[str] = []
    ring.told = told.append
    worker, shop, nobody = make(ring), make(Ring(tmp_path / "shop.json")), make()
    heeded = FleetLimits(worker)
    about = json.dumps({"wants_signatures": True})
    worker.redis.zadd(f"{worker.prefix}workers", {"w|high,normal,low": time.time()})
    worker.redis.set(f"{worker.prefix}worker:w|high,normal,low", about)

    for records in (shop, nobody):
        for act in (lambda r=records: FleetLimits(r).set("1 B/s"), FleetLimits(records).lift):
            with pytest.raises(InvalidJob) as caught:
                act()
            assert caught.value.code == "keys_missing"
    text = json.dumps({"limit": "1 B/s", "until": None})
    for forged in (text, shop.ring.seal(text, "limit"), worker.ring.seal(text, "elsewhere"), "{"):
        nobody.redis.set(f"{nobody.prefix}limit", forged)
        assert [heeded.heeded(), heeded.heeded()] == [None, None]
    assert told == ["limit"] * 4, "each told once, not at every look"

    FleetLimits(make(Ring(tmp_path / "all.json"))).set("2 MB/s")
    assert heeded.heeded() == FleetLimit(Rates(2e6, None))


def test_it_is_set_shown_and_lifted_by_command(make: MakeRecords, redis_url: str) -> None:
    records = make()
    env = {
        "B2JOBS_REDIS_URL": redis_url,
        "B2JOBS_KEY_PREFIX": records.prefix.removesuffix("b2jobs:"),
        "B2JOBS_KEYS_FILE": "",
    }

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli, ["limits", *words], env=env)
        assert done.exit_code == 0, done.output
        return done.output

    assert run("show") == "Nothing is set here: the workers' config files hold.\n"
    assert run("set", "2 MB/s, 5 requests/s") == "2 MB/s, 5 requests/s until it is lifted\n"
    assert json.loads(run("show", "--json"))["limit"] == "2 MB/s, 5 requests/s"
    until = json.loads(run("set", "unlimited", "--for", "2h", "--json"))["until"]
    assert datetime.fromisoformat(until).timestamp() == pytest.approx(time.time() + 7200, abs=60)
    assert run("lift") == "The workers' config files hold.\n"
    assert json.loads(run("lift", "--json")) == {"lifted": False}
    refused = CliRunner().invoke(cli, ["limits", "set", "fast"], env=env)
    assert isinstance(refused.exception, InvalidJob)
