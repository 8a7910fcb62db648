"""A file below a folder root, as the source of an upload."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from b2jobs.errors import JobError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.roots import LocalPlace


class LocalSource:
    """One open file. What is read is the file that was there when this was made.

    It holds one descriptor until `close`. All reading is positional (`os.pread`), so many
    threads may read through `open` or `fileno` at once. A file that is replaced by a rename
    meanwhile is still read as it was; one that is written in place is noticed by
    `check_unchanged`.

    Raises:
        CallerError: `source_missing`, `source_is_directory`, `source_not_a_file`, `outside_root`.
        OperatorError: `source_unreadable`, `root_missing`, `too_many_open_files`.
        PassingError: `source_read_failed`.
    """

    content_type: str | None = None
    ranged = True
    _descriptor = -1

    def __init__(self, place: LocalPlace) -> None:
        self.uri = place.uri
        self._descriptor, status = _opened(place)
        self.size: int | None = status.st_size
        self.modified_millis: int | None = status.st_mtime_ns // 1_000_000
        self.identity = file_identity(status)

    def fileno(self) -> int:
        """For `os.pread` and `os.sendfile`; closed by `close`."""
        return self._descriptor

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[LocalStream]:
        stream = LocalStream(self._descriptor, self.uri, offset)
        try:
            yield stream
        finally:
            stream.close()

    def check_unchanged(self) -> None:
        if file_identity(os.fstat(self._descriptor)) != self.identity:
            raise failures.source_changed(self.uri)

    def close(self) -> None:
        """Give the descriptor back. Called twice it does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            self.close()


class LocalStream:
    """Bytes in order from a descriptor that belongs to somebody else."""

    def __init__(self, descriptor: int, uri: str, offset: int) -> None:
        self._descriptor = descriptor
        self._uri = uri
        self._offset = offset

    def read(self, size: int, /) -> bytes:
        try:
            chunk = os.pread(self._descriptor, size, self._offset)
        except OSError as error:
            raise failures.source_error(error, self._uri) from error
        self._offset += len(chunk)
        return chunk

    def close(self) -> None:
        """Reading again is an error."""
        self._descriptor = -1


def open_file(place: LocalPlace) -> int:
    """Open the regular file at *place* for reading, without ever blocking or leaving its root.

    Raises: what `LocalSource` raises.
    """
    return _opened(place)[0]


def _opened(place: LocalPlace) -> tuple[int, os.stat_result]:
    if place.path.endswith("/") or not place.path:
        raise failures.source_is_directory(place.uri)
    try:
        with found(place) as (folder, name):
            # Asked before opening: opening a device can already do something.
            _check_regular(os.stat(name, dir_fd=folder, follow_symlinks=False), place.uri)
            descriptor = os.open(
                name,
                os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
                dir_fd=folder,
            )
    except OSError as error:
        raise failures.source_error(error, place.uri) from error
    status = os.fstat(descriptor)
    try:
        _check_regular(status, place.uri)
    except JobError:
        os.close(descriptor)
        raise
    return descriptor, status


def file_identity(status: os.stat_result) -> str:
    """Inode, size and time: the same on every machine that mounts the same folder."""
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def _check_regular(status: os.stat_result, uri: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise failures.source_is_directory(uri)
    raise failures.source_not_a_file(uri)
