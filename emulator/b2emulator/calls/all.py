"""Importing this fills the table of calls."""

from b2emulator.calls import (
    account,
    buckets,
    copies,
    files,
    keys,
    large,
    listings,
    locks,
    notifications,
    sharing,
    uploads,
)
from b2emulator.calls.call import CALLS

__all__ = [
    "CALLS",
    "account",
    "buckets",
    "copies",
    "files",
    "keys",
    "large",
    "listings",
    "locks",
    "notifications",
    "sharing",
    "uploads",
]
