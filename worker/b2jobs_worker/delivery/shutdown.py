"""Whether this worker is stopping, seen by every process and thread of it.

One byte of shared memory, made before any fork: a prefork child is not told of SIGTERM,
but it can look.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import threading
import time

_page = mmap.mmap(-1, 8)


def begin(grace_seconds: float) -> None:
    """Stop taking jobs now; those under way are handed back after *grace_seconds*."""
    if not has_begun():
        _page[:8] = struct.pack("d", time.monotonic() + grace_seconds)


def has_begun() -> bool:
    return _deadline() > 0


def grace_is_over() -> bool:
    """Whether jobs under way must be handed back now."""
    deadline = _deadline()
    return 0 < deadline <= time.monotonic()


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
    _page[:8] = struct.pack("d", 0.0)


def _deadline() -> float:
    (deadline,) = struct.unpack("d", _page[:8])
    return float(deadline)
