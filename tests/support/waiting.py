"""Waiting for what must happen, with a deadline; never for time to pass."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

_LOOK_SECONDS = 0.02


def eventually(
    look: Callable[[], Answer], *, timeout: float = 120.0, what: str | Callable[[], object] = ""
) -> Answer:
    """Call *look* until its answer is true, and return it.

    Raises:
        AssertionError: it was not within *timeout* seconds; *what* says what was awaited.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {timeout:g} s: {said or look!r}; last {answer!r}")
        time.sleep(_LOOK_SECONDS)


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
