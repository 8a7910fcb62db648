"""Webhooks against a real receiver: what is sent, to whom it is not sent, and what it means."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from b2jobs.words import Word
from b2jobs_worker.delivery import webhooks as module
from b2jobs_worker.delivery.outbox import NotTold
from b2jobs_worker.delivery.webhooks import Webhooks
from b2jobs_worker.secrets import SecretsFile
from b2jobs_worker.settings import Settings
from support.receiver import SECRET, Receiver, receiver

SECOND = "whsec_" + base64.b64encode(bytes(range(32))).decode()
HERE = {"webhook_hosts": "localhost", "webhook_private_hosts": "localhost"}


@pytest.fixture
def http() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def https(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as made:
        yield made


def teller(folder: Path, secrets: Any = SECRET, **settings: Any) -> Webhooks:
    file = folder / "secrets.json"
    file.touch(mode=0o600)
    account = {"key_id": "k", "application_key": "a"}
    file.write_text(json.dumps({**account, "webhooks": secrets} if secrets else account))
    return Webhooks(Settings(**{**HERE, **settings}), SecretsFile(file))


def word(url: str) -> Word:
    result = {"url": "https://f/ü"}
    ended = datetime(2026, 1, 1, tzinfo=UTC)
    return Word("a" * 32, "j", "upload", "succeeded", {"url": url}, result=result, ended=ended)


def refusal(webhooks: Webhooks, url: str) -> NotTold:
    with pytest.raises(NotTold) as caught:
        webhooks.tell(word(url))
    return caught.value


@pytest.mark.parametrize("secrets", [SECRET, [SECRET, SECOND], {"localhost": SECRET}])
def test_one_post_that_the_standards_library_verifies(
    https: Receiver, tmp_path: Path, secrets: Any
) -> None:
    webhooks = teller(tmp_path, secrets, ca_file=https.ca_file)

    assert webhooks.tell(word(https.url("/hook?token=1"))) == []

    [got] = https.got
    assert got.path == "/hook?token=1"
    assert got.headers["host"] == f"localhost:{https.port}"
    assert got.headers["webhook-id"] == "a" * 32
    for secret in [SECRET, SECOND] if isinstance(secrets, list) else [SECRET]:
        said = standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    assert said == {
        "type": "job.succeeded",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "data": {
            "job": "j",
            "kind": "upload",
            "state": "succeeded",
            "result": {"url": "https://f/ü"},
            "failure": None,
        },
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"webhook_hosts": ""}, "webhook_hosts"),
        ({"webhook_hosts": "*.localhost, other.example"}, "webhook_hosts"),
        ({"webhook_private_hosts": ""}, "webhook_private_hosts"),
        ({"webhook_private_hosts": "10.0.0.0/8"}, "webhook_private_hosts"),
    ],
)
@pytest.mark.parametrize("is_tls", [False, True])
def test_who_is_not_allowed_gets_nothing_and_is_not_asked_again(
    http: Receiver, https: Receiver, tmp_path: Path, settings: Any, said: str, is_tls: bool
) -> None:
    there = https if is_tls else http
    told = refusal(teller(tmp_path, ca_file=https.ca_file, **settings), there.url())
    assert not told.heals
    assert said in str(told)
    assert there.got == []


def test_names_below_an_allowed_one(tmp_path: Path) -> None:
    webhooks = teller(tmp_path, webhook_hosts="*.Hooks.Invalid.")
    for host, is_named in (("a.hooks.invalid", True), ("A.B.hooks.invalid", True),
                           ("hooks.invalid", False), ("ahooks.invalid", False)):  # fmt: skip
        told = refusal(webhooks, f"https://{host}/")
        assert ("webhook_hosts" in str(told)) != is_named


def test_http_is_for_private_hosts_alone(tmp_path: Path) -> None:
    told = refusal(teller(tmp_path, webhook_hosts="1.1.1.1"), "http://1.1.1.1:1/")
    assert "https only" in str(told)
    assert not told.heals


@pytest.mark.parametrize(
    ("status", "heals", "is_silent"),
    [
        (302, True, False),
        (400, True, False),
        (404, True, False),
        (410, False, False),
        (429, True, True),
        (500, True, True),
        (503, True, True),
    ],
)
def test_what_an_answer_means(
    http: Receiver, tmp_path: Path, status: int, heals: bool, is_silent: bool
) -> None:
    http.statuses = [status]
    http.headers = {"Location": http.url("/elsewhere")}
    told = refusal(teller(tmp_path), http.url())
    assert (told.heals, told.is_silent) == (heals, is_silent)
    assert str(status) in str(told)
    assert [got.path for got in http.got] == ["/hook"], "a redirect is not followed"


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_whatever_a_receiver_does_it_has_its_time(
    http: Receiver, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_TELLING_SECONDS", module.CONNECT_SECONDS + 0.5)
    http.hang, http.drip = way == "hang", 0.05 if way == "drip" else 0
    began = time.monotonic()
    told = refusal(teller(tmp_path), http.url())
    assert told.heals
    assert told.is_silent
    assert time.monotonic() - began < module.CONNECT_SECONDS


def test_nobody_listens(tmp_path: Path, http: Receiver) -> None:
    told = refusal(teller(tmp_path), "http://localhost:1/")
    assert told.heals
    assert told.is_silent


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, https: Receiver) -> None:
    told = refusal(teller(tmp_path), https.url())
    assert told.heals
    assert "certificate" in str(told).lower()
    assert https.got == []


@pytest.mark.parametrize(
    "secrets", [None, "secret", ["whsec_"], {"localhost": "whsec_AAAA"}, {"other": SECRET}, 5]
)
def test_without_a_secret_nothing_is_sent_and_it_waits_for_one(
    http: Receiver, tmp_path: Path, secrets: Any
) -> None:
    told = refusal(teller(tmp_path, secrets), http.url())
    assert told.heals
    assert told.is_silent
    assert "webhook" in str(told)
    assert "AAAA" not in str(told)
    assert http.got == []
