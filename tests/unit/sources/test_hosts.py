"""A producer must not reach into the worker's network through a URL."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2jobs.errors import JobError
from b2jobs_worker.sources.hosts import Allowed, addresses, ascii_host, is_public

PRIVATE = [
    "127.0.0.1",
    "127.255.0.9",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "100::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str | OSError) -> None:
    def getaddrinfo(host: str, port: int, **more: object) -> list[tuple[object, ...]]:
        for answer in answers:
            if isinstance(answer, OSError):
                raise answer
        return [(0, 0, 0, "", (answer, port)) for answer in answers]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def code(host: str, allowed: str = "") -> str:
    with pytest.raises(JobError) as caught:
        addresses(ascii_host(host), 443, Allowed.parse(allowed))
    return caught.value.code


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_public(ipaddress.ip_address(text))
    resolving(monkeypatch, text)
    assert code("innocent.example") == "host_not_allowed"


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_served(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, text)
    assert addresses("host.example", 443, Allowed.parse("")) == [text]


@given(number=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_an_ipv4_address_is_no_more_public_inside_of_ipv6(number: int) -> None:
    inner = ipaddress.IPv4Address(number)
    for text in (
        f"::ffff:{inner}",
        f"64:ff9b::{inner}",
        f"2002:{number >> 16:x}:{number & 65535:x}::1",
    ):
        assert is_public(ipaddress.ip_address(text)) <= is_public(inner)


def test_only_the_public_ones_of_several_are_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "10.0.0.1", "1.1.1.1", "::1", "1.1.1.1")
    assert addresses("host.example", 443, Allowed.parse("")) == ["1.1.1.1"]


@pytest.mark.parametrize(
    ("allowed", "host", "address", "served"),
    [
        ("files.internal", "files.internal", "10.0.0.1", True),
        (" other , Files.Internal. ", "FILES.internal", "10.0.0.1", True),
        ("10.0.0.0/8", "files.internal", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1", True),
        ("[::1]", "localhost", "::1", True),
        ("fe80::/10", "neighbour", "fe80::1%eth0", True),
        ("internal", "files.internal", "10.0.0.1", False),
        ("10.0.0.0/8", "files.internal", "192.168.0.1", False),
        ("10.0.0.1", "evil.example", "10.0.0.2", False),
        (",", "", "10.0.0.1", False),
    ],
)
def test_private_hosts_are_served_where_they_are_named(
    allowed: str, host: str, address: str, served: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, address)
    if served:
        assert addresses(host, 443, Allowed.parse(allowed)) == [address]
    else:
        assert code(host, allowed) == "host_not_allowed"


def test_names_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, socket.gaierror(socket.EAI_NONAME, "unknown"))
    assert code("none.example") == "source_host_unknown"
    assert code("a..b") == "source_host_unknown"
    assert code("x" * 64) == "source_host_unknown"
    resolving(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "later"))
    assert code("none.example") == "source_unreachable"


def test_numbers_in_disguise_are_judged_by_what_they_mean() -> None:
    """The resolver reads these as 127.0.0.1 without asking anybody."""
    for host in ("2130706433", "0x7f000001", "127.1", "0177.0.0.1"):
        assert code(host) == "host_not_allowed"
