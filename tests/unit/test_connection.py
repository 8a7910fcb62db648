"""Redis URLs: read alike by both sides, refused in a sentence, never shown with a password."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from redis import SSLConnection

from b2jobs import redis_url
from b2jobs.client import Client
from b2jobs.connection import connect
from b2jobs.errors import InvalidJob, OperatorError, QueueUnavailable
from b2jobs.records import Records
from b2jobs.redis_url import RedisUrl, read, shown
from b2jobs_worker import settings as worker_settings
from b2jobs_worker.celery.app import make_app
from b2jobs_worker.settings import Settings

REQUIRED = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
SENTINELS = (("one", 26379), ("two", 26380))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://host", RedisUrl((("host", 6379),))),
        ("redis://", RedisUrl((("localhost", 6379),))),
        (" redis://:p%40%2Fss@host:7/3\n", RedisUrl((("host", 7),), db=3, password="p@/ss")),
        ("redis://:p/w@host", RedisUrl((("host", 6379),), password="p/w")),
        ("redis://host?db=2", RedisUrl((("host", 6379),), db=2)),
        ("redis://host/2?db=2", RedisUrl((("host", 6379),), db=2)),
        (
            "redis://us%3Aer:pw@[::1]:5/1",
            RedisUrl((("::1", 5),), db=1, username="us:er", password="pw"),
        ),
        (
            "redis://host?username=me&password=p%26w",
            RedisUrl((("host", 6379),), username="me", password="p&w"),
        ),
        ("unix:///run/my%20redis.sock?db=4", RedisUrl(path="/run/my redis.sock", db=4)),
        ("unix://me:pw@/run/r.sock", RedisUrl(path="/run/r.sock", username="me", password="pw")),
        ("rediss://host", RedisUrl((("host", 6379),), tls=REQUIRED)),
        ("rediss://host?ssl_cert_reqs=CERT_REQUIRED", RedisUrl((("host", 6379),), tls=REQUIRED)),
        (
            "rediss://host?ssl_cert_reqs=none&ssl_check_hostname=no&ssl_min_version=TLSv1_3",
            RedisUrl(
                (("host", 6379),),
                tls={
                    "ssl_cert_reqs": ssl.CERT_NONE,
                    "ssl_check_hostname": False,
                    "ssl_min_version": ssl.TLSVersion.TLSv1_3,
                },
            ),
        ),
        ("sentinel://one,two:26380/main/3", RedisUrl(SENTINELS, service="main", db=3)),
        (
            "sentinel://me:p%40ss@one,two:26380/main?db=3&sentinel_password=own",
            RedisUrl(
                SENTINELS,
                service="main",
                db=3,
                username="me",
                password="p@ss",
                sentinel_password="own",
            ),
        ),
        ("sentinel://:word@[::1]:5/main", RedisUrl((("::1", 5),), service="main", password="word")),
        ("sentinels://one,two:26380/main", RedisUrl(SENTINELS, service="main", tls=REQUIRED)),
    ],
)
def test_one_reading_for_producers_broker_and_results(url: str, said: RedisUrl) -> None:
    assert read(url) == said
    wanted = {
        **(said.tls or {}),
        "db": said.db,
        "username": said.username,
        "password": said.password,
    }
    if said.path:
        wanted["path"] = said.path
    elif not said.service:
        wanted |= {"host": said.hosts[0][0], "port": said.hosts[0][1]}
    for side, pool in sides(url).items():
        found = pool.connection_kwargs
        assert {name: found.get(name) for name in wanted} == wanted, side
        assert issubclass(pool.connection_class, SSLConnection) == bool(said.tls), side
        if said.service:
            asked = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
            for each, (host, port) in zip(asked, said.hosts, strict=True):
                own = {"host": host, "port": port, "password": said.sentinel_password}
                assert {name: each.connection_kwargs.get(name) for name in own} == own, side
                assert issubclass(each.connection_class, SSLConnection) == bool(said.tls), side


def sides(url: str) -> dict[str, Any]:
    """The pools of a producer, of a worker's consumer, and of Celery's results."""
    app = make_app(Settings(redis_url=url))
    broker = app.connection_for_read()
    # kombu makes its pool in a channel, which connects at once: only the pool is made here.
    kind = broker.transport.Channel
    channel = kind.__new__(kind)
    channel.connection = broker.transport
    for name in kind.from_transport_options:
        if name in broker.transport_options:
            setattr(channel, name, broker.transport_options[name])
    return {
        "producer": connect(url).connection_pool,
        "broker": channel._get_pool(),
        "results": app.backend.client.connection_pool,
    }


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begins with none of"),
        ("one:6379", "begins with none of"),
        ("http://one", "begins with none of"),
        ("redis+socket:///run/redis.sock", "begins with none of"),
        ("redis://one/zero", "a database is a number"),
        ("redis://one/-1", "a database is a number"),
        ("redis://one/1/2", "a database is a number"),
        ("redis://one?db=1&db=1", "says db twice"),
        ("redis://one/1?db=2", "two different things for db"),
        ("redis://:a@one?password=b", "two different things for password"),
        ("redis://one?pasword=b", "'pasword', the nearest known is password"),
        ("redis://one?foo=bar", "unknown option 'foo'"),
        ("rediss://one?ssl_cert_req=none", "the nearest known is ssl_cert_reqs"),
        ("redis://one?ssl_cert_reqs=none", "goes with rediss://"),
        ("rediss://one?ssl_cert_reqs=perhaps", "none, optional or required"),
        ("rediss://one?ssl_min_version=1.0", "1.2 or 1.3"),
        ("rediss://one?ssl_check_hostname=perhaps", "true or false"),
        ("rediss://one?ssl_ca_certs=/not/there.pem", "is not there"),
        ("redis://one?sentinel_password=x", "goes with sentinel://"),
        ("redis://one:port", "HOST:PORT"),
        ("redis://one:0", "from 1 to 65535"),
        ("redis://one:70000", "from 1 to 65535"),
        ("redis://one,two", "sentinel:// only"),
        ("redis://::1:6379", "IPv6"),
        ("unix://run/redis.sock", "unix:///PATH"),
        ("unix://", "unix:///PATH"),
        ("sentinel://", "names no service"),
        ("sentinel://one", "names no service"),
        ("sentinel:///main", "names no host"),
        ("sentinel://one:port/main", "HOST:PORT"),
        ("sentinel://one/main/zero", "a database is a number"),
        ("sentinel://one,,two/main", "names no host"),
        ("redis://:pa?secret@one", "percent-encoded"),
        ("redis://:pa#secret@one", "percent-encoded"),
        ("redis://:pa@secret@one", "percent-encoded"),
        ("redis://one:secret", "HOST:PORT"),
        ("redis://:secret", "HOST:PORT"),
        ("redis://[secret", "HOST:PORT"),
        ("redis://one?sentinel_password=secret", "goes with"),
        ("redis://one?passwort=secret", "nearest known is password"),
        ("redis://one/x?password=p@secret", "percent-encoded"),
    ],
)
def test_anything_else_is_one_sentence_without_a_password(
    url: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidJob, match=re.escape(why)) as caught:
        connect(url)
    assert caught.value.code == "invalid_redis_url"
    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    monkeypatch.setenv("B2JOBS_REDIS_URL", url or "://")
    with pytest.raises(OperatorError, match=re.escape(why)) as told:
        worker_settings.load()
    assert "secret" not in f"{told.value} {told.value.hint}"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("redis://user:secret@host:1/0", "redis://host:1/0"),
        ("sentinel://user:secret@host:1,b:2/main", "sentinel://host:1,b:2/main"),
        ("redis://host?password=secret&db=1", "redis://host?password=***&db=1"),
        ("rediss://host?ssl_password=secret", "rediss://host?ssl_password=***"),
        ("sentinel://a/b?sentinel_password=secret", "sentinel://a/b?sentinel_password=***"),
        ("unix://:secret@/run/r.sock?db=1", "unix:///run/r.sock?db=1"),
        ("redis://host?what=secret", "redis://host?what=***"),
        ("redis://:se?secret@host", "redis://***"),
        ("redis://:secret", "redis://***"),
        (":secret@host", "host"),
    ],
)
def test_passwords_are_not_shown(url: str, seen: str) -> None:
    assert shown(url) == seen
    assert url not in repr(Settings.model_construct(redis_url=url))


def test_a_refused_setting_shows_no_other_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where no single field was at fault, all of them were printed as "given".
    monkeypatch.setenv("B2JOBS_REDIS_URL", "redis://:secret@host")
    monkeypatch.setenv("B2JOBS_QUEUES", "urgent")
    with pytest.raises(OperatorError, match="urgent") as caught:
        worker_settings.load()
    assert "secret" not in str(caught.value)


def test_a_redis_that_is_down_is_named_without_its_password() -> None:
    records = Records("redis://:secret@127.0.0.1:1/0?username=me")
    with pytest.raises(QueueUnavailable) as caught:
        records.get("x")
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("given", ["", "soon", "0", "nan", "1e9"])
def test_a_time_that_no_call_can_have_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B2JOBS_REDIS_TIMEOUT_SECONDS", given)
    if given:
        with pytest.raises(InvalidJob, match=given):
            Client()
    else:
        assert Client().timeout_seconds == 10


def test_the_docs_list_every_option() -> None:
    page = Path("docs/redis.md").read_text()
    assert [name for name in redis_url.OPTIONS if f"`{name}`" not in page] == []
