"""Removing one local file, confined to its root and only as it was when it was compared."""

from __future__ import annotations

import errno
import os

from b2jobs import locations
from b2jobs.errors import CallerError
from b2jobs.locations import LocalPath, RootPath
from b2jobs.requests import Remove
from b2jobs.results import DeleteResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.local import file_identity
from b2jobs_worker.sources.roots import LocalPlace, place


def remove(request: Remove, attempt: Attempt, settings: Settings) -> DeleteResult:
    """Remove the file, and the folders above it that it leaves empty, up to `top`.

    A file that is gone counts as removed. A link is removed, not what it leads to.

    Raises:
        CallerError: `destination_changed`: it is not the file that was compared.
        OperatorError, PassingError: the disk refuses.
    """
    where = _place(request.target, settings)
    top = _place(request.top, settings)
    attempt.guard()
    try:
        with found(where) as (folder, name):
            is_same = file_identity(os.stat(name, dir_fd=folder)) == request.identity
        if not is_same:
            raise CallerError(
                "destination_changed",
                f"{request.target} has changed since it was compared; it stays.",
                hint="The next sync compares it anew.",
            )
        with found(where, follow_last=False) as (folder, name):
            os.unlink(name, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return DeleteResult(uri=request.target, status="unchanged")
    except OSError as error:
        raise failures.destination_error(error, request.target) from error
    _remove_empty(where, top)
    return DeleteResult(uri=request.target, deleted=1)


def _remove_empty(where: LocalPlace, top: LocalPlace) -> None:
    """Remove the folders that are empty now, from the file's own up, `top` not included."""
    path = where.path.rpartition("/")[0]
    while len(path) > len(top.path.rstrip("/")):
        try:
            with found(LocalPlace(where.root, path, where.uri), follow_last=False) as (above, name):
                os.rmdir(name, dir_fd=above)
        except OSError as error:
            if error.errno == errno.ENOENT:
                continue  # another item was faster
            return  # not empty, or not ours to remove: it stays
        finally:
            path = path.rpartition("/")[0]


def _place(uri: str, settings: Settings) -> LocalPlace:
    location = locations.parse(uri)
    if isinstance(location, RootPath | LocalPath):
        where = place(location, settings)
        if isinstance(where, LocalPlace):
            return where
    raise CallerError("destination_unsupported", f"{uri} is not a local file.")
