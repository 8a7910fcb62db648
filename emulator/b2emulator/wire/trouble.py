"""What goes wrong on this machine, said as B2 says that something is wrong with it."""

from __future__ import annotations

import errno
import logging
import sqlite3
import time

from b2emulator.errors import B2Error

QUIET_SECONDS = 10.0
log = logging.getLogger("b2emulator")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}


def as_b2_error(error: OSError | sqlite3.Error) -> B2Error:
    """503 for what may pass, 500 for what will not."""
    text = str(error)
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return B2Error(503, "service_unavailable", "the emulator's disk is full")
        if error.errno in _NO_DESCRIPTORS:
            return B2Error(503, "service_unavailable", "the emulator has no file descriptors left")
        return B2Error(500, "internal_error", f"the emulator cannot use its folder: {text}")
    if "full" in text:
        return B2Error(503, "service_unavailable", "the emulator's disk is full")
    if "disk I/O error" in text:
        return B2Error(503, "service_unavailable", f"the emulator cannot write its index: {text}")
    if "unable to open" in text:
        return B2Error(503, "service_unavailable", f"the emulator cannot reach its index: {text}")
    return B2Error(500, "internal_error", f"the emulator's index is damaged: {text}")


class Complaints:
    """Says each thing once in a while, however many requests it meets."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def say(self, text: str) -> None:
        now = time.monotonic()
        if now - self._said.get(text, -QUIET_SECONDS) >= QUIET_SECONDS:
            self._said[text] = now
            log.error("%s", text)
