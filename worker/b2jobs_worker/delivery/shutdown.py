"""Whether this process is stopping, seen by every thread of it."""

from __future__ import annotations

import os
import signal
import threading
import time

_deadlines: list[float] = []


def begin(grace_seconds: float) -> None:
    """Stop taking jobs now; those under way are handed back after *grace_seconds*."""
    if not has_begun():
        _deadlines.append(time.monotonic() + grace_seconds)


def has_begun() -> bool:
    return bool(_deadlines)


def grace_is_over() -> bool:
    """Whether jobs under way must be handed back now."""
    return has_begun() and _deadlines[0] <= time.monotonic()


def end_with_parent(parent: int) -> None:
    """Send ourselves SIGTERM when *parent*, a process id, dies: nobody would restart or stop us.

    The parent says its id itself: one that dies while we start is no longer there to ask.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="b2jobs-parent", daemon=True).start()


def reset() -> None:
    """For tests that stop more than once in one process."""
    _deadlines.clear()
