"""Whether a folder tells names apart by case."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import replace

from b2jobs.errors import JobError
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.roots import LocalPlace


def folds_case(side: LocalPlace) -> bool:
    """Whether the folder takes `A` and `a` for one name. Makes a file there for a moment."""
    probe = f".b2jobs-{secrets.token_hex(8)}a"
    try:
        with found(replace(side, path=side.path.rstrip("/")), follow=False) as (parent, name):
            inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except (OSError, JobError):
        return False  # it is not there yet; what is made later is as its parent is
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=inside))
        try:
            os.stat(probe.upper(), dir_fd=inside)
        except FileNotFoundError:
            return False
        finally:
            os.unlink(probe, dir_fd=inside)
        return True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.close(inside)
