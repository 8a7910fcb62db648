"""Walking below a root without ever leaving it.

Every component is opened relative to the folder before it and never followed when it is a
symbolic link; links are read and walked by hand. So there is no moment between a check and
a use in which somebody could exchange a folder for a link: the kernel's own
`openat2(RESOLVE_BENEATH)` gives the same, but not to Python, and refuses absolute links
even when they stay inside.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from b2jobs.errors import OperatorError
from b2jobs_worker.sources.failures import destination_is_link, outside_root
from b2jobs_worker.sources.roots import LocalPlace, below

_LINK_LIMIT = 40
# O_PATH (Linux) asks for no right to read a folder, only for the right to pass through it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def found(
    place: LocalPlace, *, follow: bool = True, make_mode: int | None = None
) -> Iterator[tuple[int, str]]:
    """The folder that holds the end of *place*, as a descriptor, and the last name in it.

    The last name is `.` when the path ends at a folder that was walked already. With
    *follow* links are followed inside the root, and the last name is none. Without, as for
    all that is written or removed, no link may be on the way; the last name may be one and
    is not looked at. The root itself may be a link: that is the operator's word. Missing
    folders are made where *make_mode* says how.

    Raises:
        CallerError: `outside_root`, `destination_is_link`.
        OperatorError: `root_missing`.
        OSError: whatever else stands in the way.
    """
    walk = _Walk(place, follow, make_mode)
    try:
        yield walk.to_the_end()
    finally:
        walk.close()


class _Walk:
    def __init__(self, place: LocalPlace, follow: bool, make_mode: int | None) -> None:
        self._place = place
        self._may_follow = follow
        self._make_mode = make_mode
        self._links = 0
        self._folders = [_open_root(place)]

    def close(self) -> None:
        while self._folders:
            os.close(self._folders.pop())

    def to_the_end(self) -> tuple[int, str]:
        ahead = deque(_components(self._place.path))
        while ahead:
            name = ahead.popleft()
            if name == "..":
                self._up()
            elif ahead:
                self._enter(name, ahead)
            elif not self._may_follow or (target := self._link(name)) is None:
                return self._folders[-1], name
            else:
                self._follow(target, ahead)
        return self._folders[-1], "."

    def _up(self) -> None:
        if len(self._folders) == 1:
            raise outside_root(self._place.uri, self._place.root.name)
        os.close(self._folders.pop())

    def _enter(self, name: str, ahead: deque[str]) -> None:
        try:
            self._folders.append(self._open(name))
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            target = self._link(name)
            if target is None:
                raise
            if not self._may_follow:
                with suppress(OSError), found(self._place):
                    pass  # a link out of the root is told as that
                raise destination_is_link(self._place.uri, name) from error
            self._follow(target, ahead)

    def _open(self, name: str) -> int:
        here = self._folders[-1]
        try:
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
        except FileNotFoundError:
            if self._make_mode is None:
                raise
        with suppress(FileExistsError):  # somebody else has just made it
            os.mkdir(name, self._make_mode, dir_fd=here)
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=here)

    def _link(self, name: str) -> str | None:
        """Where the link *name* points, or None when it is none."""
        try:
            return os.readlink(name, dir_fd=self._folders[-1])
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise

    def _follow(self, target: str, ahead: deque[str]) -> None:
        self._links += 1
        if self._links > _LINK_LIMIT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            folder = self._place.root.folder
            inside = below(folder, target)
            if inside is None:
                inside = below(os.path.realpath(folder), target)
            if inside is None:
                raise outside_root(self._place.uri, self._place.root.name)
            while len(self._folders) > 1:
                os.close(self._folders.pop())
            target = inside
        ahead.extendleft(reversed(_components(target)))


def _components(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _open_root(place: LocalPlace) -> int:
    try:
        return os.open(place.root.folder, _FOLDER)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OperatorError(
            "root_missing",
            f"The folder of the root {place.root.name!r} is not there.",
            hint="Create or mount it on every worker, or correct its url in the config file.",
        ) from error
