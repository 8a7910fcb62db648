"""Who is calling: the attempt and the meter behind the HTTP request that is being sent.

b2sdk makes some calls on its own (an authorisation, an upload URL), deep below the one
that was asked for. The HTTP session meets all of them, in the caller's thread, and
looks here to know whose calls they are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2jobs_worker.b2.meter import Meter
    from b2jobs_worker.transfer.attempt import Attempt


@dataclass(frozen=True)
class Caller:
    """One job's side of a call: what may interrupt it, and who pays."""

    attempt: Attempt
    meter: Meter


class _Local(threading.local):
    caller: Caller | None = None


_local = _Local()


def current() -> Caller | None:
    """Whose call this thread is making; None outside of `calling_as`."""
    return _local.caller


@contextmanager
def calling_as(caller: Caller) -> Iterator[None]:
    """Requests of this thread belong to *caller* while the context lasts. May be nested."""
    before = _local.caller
    _local.caller = caller
    try:
        yield
    finally:
        _local.caller = before
