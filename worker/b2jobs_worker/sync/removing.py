"""Removing one file outside of B2, confined to its root and only as it was when compared."""

from __future__ import annotations

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
from b2jobs_worker.sources.encoding import decoded
from b2jobs_worker.sources.local import file_identity
from b2jobs_worker.sources.roots import (
    LocalPlace,
    StorePlace,
    below,
    place,
    store_place,
    writable,
)
from b2jobs_worker.sources.stores import open_target


def remove(request: Remove, attempt: Attempt, settings: Settings) -> DeleteResult:
    """Remove the file, and the folders above it that it leaves empty, up to `top`; or an object.

    A file that is gone counts as removed. A link is removed, not what it leads to, and none
    is followed on the way.

    Raises:
        CallerError: `destination_changed`: it is not the file that was compared.
            `root_read_only`, `destination_is_link`, `outside_root`.
        OperatorError, PassingError: the disk refuses.
    """
    in_store = store_place(locations.parse(request.target), settings)
    if in_store is not None:
        return _remove_object(request, attempt, in_store, settings)
    where = _place(request.target, settings, is_encoded=request.encoded)
    top = _place(request.top, settings, is_encoded=request.encoded)
    inside = below(_whole(top), _whole(where))
    if not inside or ".." in inside.split("/"):
        raise _not_below(request)
    attempt.guard()
    try:
        with found(where, follow=False) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if file_identity(status) != request.identity:
                raise failures.destination_changed(request.target)
            os.unlink(name, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return DeleteResult(uri=request.target, status="unchanged")
    except OSError as error:
        raise failures.destination_error(error, request.target) from error
    _remove_empty(where, inside.count("/"))
    return DeleteResult(uri=request.target, deleted=1)


def _remove_object(
    request: Remove, attempt: Attempt, where: StorePlace, settings: Settings
) -> DeleteResult:
    if not request.target.startswith(request.top) or not request.top.endswith("/"):
        raise _not_below(request)
    target = open_target(where, settings, attempt.checkpoint)
    attempt.guard()
    removed = target.remove(request.identity)
    return DeleteResult(
        uri=request.target, deleted=int(removed), status="deleted" if removed else "unchanged"
    )


def _not_below(request: Remove) -> CallerError:
    return CallerError(
        "invalid_request",
        f"{request.target} is not below {request.top}.",
        hint="Removals of files outside of B2 are made by syncs; ask for one.",
    )


def _whole(where: LocalPlace) -> str:
    path = where.path.strip("/")
    return f"{where.root.folder.rstrip('/')}/{path}" if path else where.root.folder


def _remove_empty(where: LocalPlace, levels: int) -> None:
    """Remove the folders that are empty now, from the file's own up, so many at most."""
    path = where.path
    for _ in range(levels):
        path = path.rpartition("/")[0]
        if not path:
            return  # a root that lies in another stays
        try:
            with found(LocalPlace(where.root, path, where.uri), follow=False) as (above, name):
                os.rmdir(name, dir_fd=above)
        except FileNotFoundError:
            continue  # another item was faster
        except (OSError, CallerError):
            return  # not empty, not ours to remove, or a link by now: it stays


def _place(uri: str, settings: Settings, *, is_encoded: bool) -> LocalPlace:
    location = locations.parse(uri)
    if is_encoded:
        location = decoded(location)
    if isinstance(location, RootPath | LocalPath):
        where = place(location, settings)
        if isinstance(where, LocalPlace):
            return writable(where)
    raise CallerError("destination_unsupported", f"{uri} is not a local file.")
