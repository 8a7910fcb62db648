"""Keys from the command line, limits of queues, and what remote control can do: nothing."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery

import b2jobs
from b2jobs import keyfile
from b2jobs.cli.main import _run
from b2jobs.signed import SignatureRefused, Submission
from b2jobs.signing import Ring
from b2jobs_worker.celery.app import make_app
from b2jobs_worker.settings import Settings
from support.fake import Fake
from support.installation import Installation

JOB = Submission("id", "upload", "normal", "", "{}")


def test_keys_are_made_and_rotated_two_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("B2JOBS_KEYS_FILE", raising=False)
    workers, shop = tmp_path / "keys.json", tmp_path / "shop.keys.json"
    assert _run(["keys", "make", "shop"]) == 0
    assert _run(["keys", "make", "mail"]) == 0
    for path in (workers, shop):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {key.owner for key in keyfile.read(workers)} == {"workers", "shop", "mail"}
    assert [key.owner for key in keyfile.read(shop)] == ["shop"]
    first = Ring(shop).sign(JOB, retry=1)

    assert _run(["keys", "rotate", "shop"]) == 0
    second = Ring(shop).sign(JOB, retry=1)
    for signature in (first, second):
        assert Ring(workers, required=True).check(JOB, signature).producer == "shop"
    assert _run(["keys", "rotate", "shop"]) == 0
    assert Ring(workers, required=True).check(JOB, second).producer == "shop"
    with pytest.raises(SignatureRefused):
        Ring(workers, required=True).check(JOB, first)
    sealed = Ring(workers).seal("x", "journal", "j")
    assert _run(["keys", "rotate", "workers"]) == 0
    assert Ring(workers, required=True).unseal(sealed, "journal", "j") == "x"
    assert len(keyfile.read(workers)) == 2 + 2 + 1

    capsys.readouterr()
    for refused in (["make", "shop"], ["make", "workers"], ["make", "../x"], ["rotate", "nobody"]):
        assert _run(["keys", *refused]) == 2
    workers.chmod(0o644)
    assert _run(["keys", "rotate", "shop"]) == 2
    said = capsys.readouterr()
    assert "[keys_exposed]" in said.err
    secrets = [key.secret for key in keyfile.read(shop)]
    assert not any(secret.hex() in said.err + said.out for secret in secrets)


def test_a_queue_has_a_limit_of_its_own(installation: Installation) -> None:
    client = installation.client
    limits = f"{installation.key_prefix}b2jobs:limits"
    installation.redis.hset(limits, "queue:high", 1)
    client.upload("data:,x", "b2://some-bucket/x", priority="high")

    with pytest.raises(b2jobs.InvalidJob, match="queue:high") as refused:
        client.upload("data:,x", "b2://some-bucket/y", priority="high")

    assert refused.value.code == "limit_reached"
    assert client.upload("data:,x", "b2://some-bucket/y").state() == "queued"


def test_remote_control_stops_no_fleet(
    make_installation: Callable[..., Installation], tmp_path: Path
) -> None:
    # `rate_limit`, `shutdown` and `cancel_consumer` over the wire stopped one.
    fake = Fake(make_installation())
    installation = fake.installation
    worker = installation.start_celery()
    assert fake.submit().wait(60).size == 3
    app = Celery("theirs", broker=installation.redis_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": installation.key_prefix}

    app.control.rate_limit("b2jobs.upload", "1/h")
    app.control.cancel_consumer("b2jobs")
    app.control.pool_shrink(99)
    app.control.shutdown()
    assert "pong" not in repr(app.control.ping(timeout=1.0))

    for _ in range(3):
        assert fake.submit().wait(60).size == 3
    assert worker.status is None
    keys = tmp_path / "keys.json"
    keyfile.write(keys, [keyfile.new_key("workers")])
    signed = Settings(keys_file=keys, require_signature=True)
    assert not make_app(signed).conf.worker_enable_remote_control
