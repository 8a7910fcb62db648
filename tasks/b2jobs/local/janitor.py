"""`python janitor.py DIR`: remove a stack's folder once nobody uses it.

Waits until its owner has closed the pipe or died, then until the folder's lock is free, which
every process of the stack shares, then removes the folder. Run by its path, as the guard is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Remove *folder* when it is nobody's any more."""
    with (folder / "lock").open("rb") as lock:
        while os.read(0, 64):
            pass
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
