"""A file below a folder root, as the target of a download."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.local import file_identity, open_file
from b2jobs_worker.sources.parts import part_name
from b2jobs_worker.sources.roots import LocalPlace, writable

RESUMABLE_BYTES = 1024 * 1024
"""Below this size a part file is always begun anew: fetching it again costs less."""

_MARK = b"b2jobs-part:"
_MARK_BYTES = len(_MARK) + 20
_FOLDER_BITS = 0o444
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LocalSink:
    """The target of one download by one job.

    Bytes go into a part file in the target's folder. It holds a mark behind its last byte
    while it is under way, which tells a part file this job wrote here from another one of
    the same name on another machine's disk (`part_identity`). `commit` cuts the mark off
    and renames the part file over the target, so the target is at all times the old file
    or the new one.

    No link is followed on the way to it; a target that is a link itself is replaced.

    *durable*: `commit` returns when the disk has the bytes and the name. Without it, a
    power failure soon afterwards can leave an empty or missing target.

    *replaces*: the `identity` of the only file that may be replaced, empty where none may be
    there. None replaces whatever is there.

    *mode*: the file's permissions, whatever the umask says; folders that are made get
    them too, with the right to enter where there is one to read, as far as the umask allows.

    Raises:
        CallerError: `root_read_only`, `outside_root`, `destination_missing`,
            `destination_is_directory`, `destination_is_link`, `destination_not_a_file`,
            `destination_name_refused`, `destination_changed`.
        OperatorError: `destination_unwritable`, `root_missing`, `disk_full` (tried again).
        PassingError: `destination_write_failed`.
    """

    _folder = -1

    def __init__(
        self,
        place: LocalPlace,
        job_id: str,
        *,
        durable: bool = True,
        mode: int = 0o640,
        replaces: str | None = None,
    ) -> None:
        self.uri = place.uri
        self.part_identity = ""
        self._place = place
        self._durable = durable
        self._mode = mode
        self._replaces = replaces
        self._descriptor = -1
        self._folder = -1
        self._size = 0
        writable(place)
        self._name = place.path.rpartition("/")[2]
        if self._name in ("", ".", ".."):
            raise failures.destination_is_directory(place.uri)
        self._part = part_name(self._name, job_id)

    @property
    def part_path(self) -> str:
        """Where the part file is, by name."""
        folder = os.path.dirname(os.path.join(self._place.root.folder, self._place.path))  # noqa: PTH118, PTH120
        return f"{folder}/{self._part}"

    def exists(self) -> bool:
        return bool(self.identity())

    def identity(self) -> str:
        """Of the target as it is now, a link's own; empty where there is none, or a folder."""
        try:
            with found(self._place, follow=False) as (folder, name):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            return "" if stat.S_ISDIR(status.st_mode) else file_identity(status)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            raise failures.destination_error(error, self.uri) from error

    def sha1(self) -> str | None:
        """Of the target as it is now; None when there is none or it is not a file in the root."""
        try:
            descriptor = open_file(self._place)
        except CallerError:
            return None
        try:
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                return hashlib.file_digest(file, "sha1").hexdigest()
        except OSError as error:
            raise failures.source_error(error, self.uri) from error

    def open(self, size: int) -> int:
        """Make room for *size* bytes and return a descriptor for `os.pwrite` and `os.pread`.

        Folders that are missing are made. A part file of this job is kept when it was made
        for the same size, else begun anew: `part_identity` is the same exactly when it was
        kept. What lies in it is only what the caller knows to have written; ranges never
        written read as zeros. The descriptor stays ours: `commit`, `discard` or `close`
        ends it. Called again it gives the same descriptor.
        """
        if self._descriptor >= 0:
            return self._descriptor
        try:
            walk = found(self._place, follow=False, make_mode=self._folder_mode)
            with walk as (folder, _):
                self._check_target(folder)
                self._folder = walk.keep()
            self._descriptor, is_new = self._open_part()
            self._prepare(size, is_new=is_new)
        except OSError as error:
            self.close()
            raise failures.destination_error(error, self.uri) from error
        except JobError:
            self.close()
            raise
        return self._descriptor

    def commit(self, modified_millis: int | None) -> None:
        """Flush, set the time, rename over the target: all or nothing.

        Raises:
            CallerError: `destination_changed`, when the target is not the file to be replaced.
            PassingError: `part_file_lost`, when somebody removed or replaced the part file.
        """
        try:
            if self._size >= RESUMABLE_BYTES:
                os.ftruncate(self._descriptor, self._size)  # without the mark
            with suppress(PermissionError):
                # File systems without permissions refuse this: there the mount says who reads.
                os.fchmod(self._descriptor, self._mode)
            if modified_millis is not None:
                nanoseconds = modified_millis * 1_000_000
                os.utime(self._descriptor, ns=(nanoseconds, nanoseconds))
            if self._durable:
                os.fsync(self._descriptor)
            self._check_part_is_ours()
            self._check_target(self._folder)
            os.replace(self._part, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            if self._durable:
                self._flush_folder()
        except OSError as error:
            raise failures.destination_error(error, self.uri) from error
        self.close()

    def discard(self) -> None:
        """Remove the part file, opened by us or not; called twice it does nothing."""
        try:
            if self._folder >= 0:
                os.unlink(self._part, dir_fd=self._folder)
            else:
                with found(self._place, follow=False) as (folder, _):
                    os.unlink(self._part, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            pass  # it is gone, which is what was asked for
        except OSError as error:
            raise failures.destination_error(error, self.uri) from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the descriptors back and keep the part file. Called twice it does nothing."""
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1

    def __del__(self) -> None:
        if self._folder >= 0:
            self.close()

    @property
    def _folder_mode(self) -> int:
        return self._mode | (self._mode & _FOLDER_BITS) >> 2

    def _check_target(self, folder: int) -> None:
        try:
            status = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            if self._replaces:
                raise failures.destination_changed(self.uri) from None
            return
        if stat.S_ISDIR(status.st_mode):
            if self._replaces is not None:
                with suppress(OSError):
                    # An empty folder holds nothing that a sync could lose.
                    os.rmdir(self._name, dir_fd=folder)
                    return
            raise failures.destination_is_directory(self.uri)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            raise failures.destination_not_a_file(self.uri)
        if self._replaces is not None and file_identity(status) != self._replaces:
            raise failures.destination_changed(self.uri)

    def _open_part(self) -> tuple[int, bool]:
        """Our part file: one that is nobody else's, or a new one; whether it is that.

        A hard link or another user's file under its name is removed, never written to:
        in a folder others can write to, it may be a trap.
        """
        try:
            return self._create_part(), True
        except FileExistsError:
            pass  # from an earlier attempt, most likely
        try:
            descriptor = os.open(self._part, _OPEN, dir_fd=self._folder)
        except FileNotFoundError:
            return self._create_part(), True
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EACCES):
                raise
        else:
            status = os.fstat(descriptor)
            if (
                stat.S_ISREG(status.st_mode)
                and status.st_nlink == 1
                and status.st_uid == os.geteuid()
            ):
                return descriptor, False
            os.close(descriptor)
        os.unlink(self._part, dir_fd=self._folder)
        return self._create_part(), True

    def _create_part(self) -> int:
        return os.open(self._part, _OPEN | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._folder)

    def _prepare(self, size: int, *, is_new: bool) -> None:
        self._size = size
        if not is_new:
            mark = self._mark(size)
            if mark:
                self.part_identity = mark
                return
            os.ftruncate(self._descriptor, 0)
        self._check_space(size)
        token = os.urandom(10).hex()
        os.ftruncate(self._descriptor, size)
        if size >= RESUMABLE_BYTES:
            os.pwrite(self._descriptor, _MARK + token.encode(), size)
        self.part_identity = token

    def _check_space(self, size: int) -> None:
        space = os.fstatvfs(self._descriptor)
        free = space.f_bavail * space.f_frsize
        # A few file systems report no blocks at all: nothing is known there.
        if space.f_blocks and size > free:
            os.unlink(self._part, dir_fd=self._folder)
            raise failures.disk_full(self.uri, f"it needs {size} bytes, {free} are free")

    def _mark(self, size: int) -> str:
        """The token behind byte *size* of a part file that can be gone on with, or nothing."""
        if size < RESUMABLE_BYTES or os.fstat(self._descriptor).st_size != size + _MARK_BYTES:
            return ""
        tail = os.pread(self._descriptor, _MARK_BYTES, size)
        return (
            tail.removeprefix(_MARK).decode("ascii", "replace")
            if tail[: len(_MARK)] == _MARK
            else ""
        )

    def _check_part_is_ours(self) -> None:
        try:
            named = os.stat(self._part, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            named = None
        if named is None or not os.path.samestat(named, os.fstat(self._descriptor)):
            raise PassingError(
                "part_file_lost",
                f"The unfinished file beside {self.uri} was removed or replaced.",
                hint="The download starts anew.",
            )

    def _flush_folder(self) -> None:
        """Make the rename last. A folder we may write but not list cannot be flushed."""
        if not os.access(".", os.R_OK, dir_fd=self._folder):
            return
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
