"""A folder below a root as one side of a sync: its files in B2's order.

B2 sorts whole names by their bytes, so a folder sorts as if its name ended in `/`:
`a.txt` comes before `a/b`, and that before `a0`. Memory grows with the largest single
folder, not with the tree.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from b2jobs.errors import CallerError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.local import file_identity
from b2jobs_worker.sources.parts import is_part
from b2jobs_worker.sources.roots import LocalPlace
from b2jobs_worker.sync.entries import Entry

Symlinks = Literal["follow", "skip"]
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DENIED = (errno.EACCES, errno.EPERM)


def listed(place: LocalPlace, *, symlinks: Symlinks = "follow", after: str = "") -> Iterator[Entry]:
    """The files below *place* in order of their names, those behind the name *after*.

    A name that is no valid text, a folder that may not be read and a link that leaves the
    root are entries with a `problem`; a folder's name ends in `/` then. Part files of
    downloads, devices and pipes are passed over, and links too with `skip`.

    Raises:
        CallerError: `source_missing`, `outside_root`; for a place that is not a folder
            `source_unreadable`.
        OperatorError, PassingError: the disk does not answer. Listing on would take what it
            has for missing.
    """
    try:
        with found(replace(place, path=place.path.rstrip("/"))) as (parent, name):
            descriptor = os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        raise failures.source_error(error, place.uri) from error
    status = os.fstat(descriptor)
    top = frozenset({(status.st_dev, status.st_ino)})
    return _Walk(place, symlinks, after).folder(descriptor, "", top)


class _Walk:
    def __init__(self, place: LocalPlace, symlinks: Symlinks, after: str) -> None:
        self._place = place
        self._symlinks = symlinks
        self._after = after

    def folder(
        self, descriptor: int, below: str, above: frozenset[tuple[int, int]]
    ) -> Iterator[Entry]:
        """The files of one open folder; *above* are the folders it lies in, against loops."""
        try:
            for name in self._names(descriptor, below):
                path = below + name
                if name[-1] == "/":
                    yield from self._enter(descriptor, path, name[:-1], above)
                elif not name.isascii() and not _is_text(name):
                    yield Entry(path, problem="its name is not valid UTF-8")
                else:
                    status = self._status(descriptor, path, name)
                    if status is not None and stat.S_ISREG(status.st_mode):
                        yield _entry(path, status)
                    elif status is not None and stat.S_ISLNK(status.st_mode):
                        yield from self._link(path)
        finally:
            os.close(descriptor)

    def _names(self, descriptor: int, below: str) -> list[str]:
        """What is in a folder, sorted, folders with `/` behind them."""
        names = []
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        names.append(name + "/")
                    elif entry.is_symlink():
                        if self._symlinks == "follow":
                            names.append(name + "/" if self._leads_to_folder(below, name) else name)
                    elif not is_part(name):
                        names.append(name)
        except OSError as error:
            raise failures.source_error(error, f"{self._place.uri}{below}") from error
        names.sort()
        after = self._after
        if not after:
            return names
        return [name for name in names if below + name > after or _holds(below + name, after)]

    def _enter(
        self, parent: int, path: str, name: str, above: frozenset[tuple[int, int]]
    ) -> Iterator[Entry]:
        if not _is_text(name):
            yield Entry(path, problem="its name is not valid UTF-8")
            return
        try:
            try:
                descriptor = os.open(name, _FOLDER, dir_fd=parent)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                with found(self._at(path[:-1])) as (folder, last):
                    descriptor = os.open(last, _FOLDER, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return  # it has gone meanwhile
        except OSError as error:
            if error.errno not in _DENIED:
                raise failures.source_error(error, self._place.uri + path) from error
            yield Entry(path, problem="the folder may not be read")
            return
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            os.close(descriptor)
            yield Entry(path, problem="the link leads back to a folder above it")
            return
        yield from self.folder(descriptor, path, above | {identity})

    def _status(self, parent: int, path: str, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None  # it has gone meanwhile
        except OSError as error:
            raise failures.source_error(error, self._place.uri + path) from error

    def _link(self, path: str) -> Iterator[Entry]:
        try:
            with found(self._at(path)) as (folder, last):
                status = os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            yield Entry(path, problem="the link leads to nothing")
        except OSError as error:
            yield Entry(
                path, problem=f"the link cannot be followed: {os.strerror(error.errno or 0)}"
            )
        except CallerError as error:
            yield Entry(path, problem=str(error))
        else:
            if stat.S_ISREG(status.st_mode):
                yield _entry(path, status)

    def _leads_to_folder(self, below: str, name: str) -> bool:
        try:
            with found(self._at(below + name)) as (folder, last):
                return stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
        except (OSError, CallerError):
            return False

    def _at(self, path: str) -> LocalPlace:
        folder = self._place.path.rstrip("/")
        return replace(self._place, path=f"{folder}/{path}" if folder else path)


def _entry(path: str, status: os.stat_result) -> Entry:
    return Entry(
        path,
        status.st_size,
        status.st_mtime_ns // 1_000_000,
        identity=file_identity(status),
    )


def _holds(path: str, name: str) -> bool:
    return path[-1] == "/" and name.startswith(path)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
