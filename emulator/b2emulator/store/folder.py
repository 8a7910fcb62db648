"""The data folder: one emulator at a time, readable by its owner only."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK_NAME = "lock"


class FolderInUse(OSError):
    """Another emulator has the folder."""


def lock_folder(folder: Path) -> int:
    """Make *folder*, close it to others and hold it until the descriptor is closed.

    Before anything in it is read: an emulator removes the bodies it has no row
    for, among which are those another one is just receiving. The kernel lets go
    of the lock when the process ends, however it does.

    Raises:
        FolderInUse: another emulator holds it. OSError: it cannot be made or opened.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise FolderInUse(f"another emulator uses the folder {folder}") from None
    return lock
