"""What a worker process says of itself each second: `b2jobs status` shows it."""

from __future__ import annotations

import os
import socket
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from b2jobs_worker.resources import resources
from b2jobs_worker.settings import current


class About:
    """One process: who it is, and how busy now."""

    def __init__(self, slots: int) -> None:
        self._fixed = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("b2jobs"),
            "since": round(time.time(), 3),
            "slots": slots,
            "wants_signatures": current().require_signature,
        }

    def now(self) -> dict[str, Any]:
        """busy: jobs under way; memory_bytes: resident; accounts: requests let in at once.

        limits: those that hold now, and until when.
        """
        own = resources()
        return {
            **self._fixed,
            "busy": own.leases.count(),
            "memory_bytes": _resident_bytes(),
            "accounts": own.concurrency(),
            "limits": own.limits.told(),
        }


def _resident_bytes() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:  # no Linux
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
