"""Redis URLs: read, refused, and never shown with a password."""

from __future__ import annotations

import pytest
from kombu.utils.url import parse_url

from b2jobs.connection import SentinelAddress, connect, sentinel_address, shown
from b2jobs.errors import InvalidJob, QueueUnavailable
from b2jobs.records import Records


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (
            "sentinel://one:26379,two:26380/main/3",
            SentinelAddress((("one", 26379), ("two", 26380)), "main", 3, None, None),
        ),
        (
            "sentinel://one/main",
            SentinelAddress((("one", 26379),), "main", 0, None, None),
        ),
        (
            "sentinel://user:p%40ss@one/main/0",
            SentinelAddress((("one", 26379),), "main", 0, "user", "p@ss"),
        ),
        (
            "sentinel://:word@[::1]:5/main",
            SentinelAddress((("::1", 5),), "main", 0, None, "word"),
        ),
    ],
)
def test_sentinel_urls_are_read(url: str, address: SentinelAddress) -> None:
    assert sentinel_address(url) == address
    connect(url)


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://",
        "sentinel://one",
        "sentinel:///main",
        "sentinel://one:port/main",
        "sentinel://one/main/zero",
        "sentinel://one,,two/main",
        "http://one",
        "one:6379",
        "",
    ],
)
def test_urls_that_lead_nowhere_are_refused(url: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        connect(url)
    assert caught.value.code == "invalid_redis_url"


@pytest.mark.parametrize("scheme", ["redis", "rediss", "sentinel"])
def test_passwords_are_not_shown(scheme: str) -> None:
    url = f"{scheme}://user:secret@host:1/main"
    assert "secret" not in shown(url)
    assert "host:1" in shown(url)


def test_a_redis_that_is_down_is_named_without_its_password() -> None:
    records = Records("redis://:secret@127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable) as caught:
        records.get("x")
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_kombu_reads_plain_urls_alike() -> None:
    assert parse_url("redis://:p%40ss@host:7/3")["password"] == "p@ss"
    assert connect("redis://:p%40ss@host:7/3").connection_pool.connection_kwargs["db"] == 3
