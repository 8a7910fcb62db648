"""Who is calling: the attempt and the meter behind the HTTP request that is being sent.

b2sdk makes some calls on its own (an authorisation, an upload URL), deep below the one
that was asked for. The HTTP session meets all of them, in the caller's thread, and
looks here to know whose calls they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from b2jobs_worker.b2.meter import CallClass, Meter
from b2jobs_worker.tracing import Trace


class Interruptible(Protocol):
    """What b2/ asks of the attempt it works for; `attempt.Attempt` is one."""

    @property
    def trace(self) -> Trace:
        """Under which the spans of calls hang."""

    def checkpoint(self) -> None:
        """Raise when the attempt must end."""

    def on_interrupt(self, act: Callable[[], None]) -> AbstractContextManager[None]:
        """While the context lasts, call *act* when the attempt must end."""


@dataclass(slots=True)
class Caller:
    """One job's side of a call: what may interrupt it, and who pays.

    spend: called with the class of each call before it is made; what it raises keeps it from that.
    pace: called with how many bytes are about to be sent; returns when they may be, and whether
        anything limits them.
    commits: the call makes a version once it was sent, whether or not the answer is read.
    """

    attempt: Interruptible
    meter: Meter
    spend: Callable[[CallClass], None] | None = None
    pace: Callable[[int], bool] | None = None
    commits: bool = False


class _Local(threading.local):
    caller: Caller | None = None


_local = _Local()


def current() -> Caller | None:
    """Whose call this thread is making; None outside of `calling_as`."""
    return _local.caller


class calling_as(AbstractContextManager[None]):  # noqa: N801 - it reads as what it does
    """Requests of this thread belong to *caller* while the context lasts. May be nested."""

    __slots__ = ("_before", "_caller")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._before: Caller | None = None

    def __enter__(self) -> None:
        self._before, _local.caller = _local.caller, self._caller

    def __exit__(self, *_: object) -> None:
        _local.caller = self._before
