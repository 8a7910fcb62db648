"""A folder that lives as long as one process, and clears up after processes that were killed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_NAME = re.compile(r"b2emulator-(\d+)-.+")


def make_folder() -> Path:
    """A new folder named after this process; those of processes that are gone are removed."""
    base = Path(tempfile.gettempdir())
    for path in base.glob("b2emulator-*"):
        match = _NAME.fullmatch(path.name)
        if match and not _is_alive(int(match[1])) and path.stat().st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"b2emulator-{os.getpid()}-", dir=base))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
