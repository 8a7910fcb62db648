"""Which hosts an https source may be on: public ones, and those the operator has allowed.

A producer chooses the URL but the worker makes the connection, from inside of its network.
So names are resolved here, every address is judged, and the connection goes to the very
address that was judged: a second answer of the name server cannot replace it.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from b2jobs.errors import CallerError, PassingError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What `is_global` of some Python versions lets through.
_NEVER = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, also some clouds' metadata services
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible, long deprecated
        "64:ff9b:1::/48",  # a network's own NAT64
        "100::/64",
        "2001::/23",
        "5f00::/16",
        "fec0::/10",
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Allowed:
    """What `private_hosts` names: hosts, addresses and networks that may be private."""

    names: frozenset[str]
    networks: tuple[_Network, ...]

    @classmethod
    def parse(cls, text: str) -> Allowed:
        names, networks = set(), []
        for item in (part.strip().strip("[]").lower() for part in text.split(",")):
            try:
                networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                names.add(item.rstrip("."))
        return cls(frozenset(names - {""}), tuple(networks))

    def covers(self, host: str, address: Address) -> bool:
        return host.lower().rstrip(".") in self.names or any(
            address in network for network in self.networks
        )


def addresses(host: str, port: int, allowed: Allowed) -> list[str]:
    """The addresses of *host* that may be connected to, in the resolver's order, at least one.

    Raises:
        CallerError: `host_not_allowed`, `source_host_unknown`.
        PassingError: `source_unreachable`, when the name server does not answer.
    """
    found = _resolve(host, port)
    may = [text for text, address in found if is_public(address) or allowed.covers(host, address)]
    if not may:
        raise CallerError(
            "host_not_allowed",
            f"{host} is not a public host.",
            hint="Private, loopback and link-local addresses are served only for hosts that the "
            "setting private_hosts names.",
        )
    return may


def ascii_host(host: str) -> str:
    """*host* as it goes over the wire, international names in their `xn--` form.

    Raises:
        CallerError: `source_host_unknown`.
    """
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _unknown(host) from error


def is_public(address: Address) -> bool:
    """Whether *address* is on the public internet, and so is any IPv4 address inside of it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _NEVER)
    )


def _resolve(host: str, port: int) -> list[tuple[str, Address]]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_AGAIN, socket.EAI_MEMORY, socket.EAI_SYSTEM):
            raise PassingError(
                "source_unreachable", f"The name {host} cannot be looked up now: {error.strerror}."
            ) from error
        raise _unknown(host) from error
    found: dict[str, Address] = {}
    for *_, where in answers:
        text = str(where[0])
        found[text] = ipaddress.ip_address(text.partition("%")[0])
    return list(found.items())


def _unknown(host: str) -> CallerError:
    return CallerError(
        "source_host_unknown", f"There is no host {host}.", hint="Check the host's name."
    )
