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
from contextlib import suppress

from b2jobs.errors import OperatorError
from b2jobs_worker.sources.failures import destination_is_link, outside_root
from b2jobs_worker.sources.roots import LocalPlace, below

_LINK_LIMIT = 40
# O_PATH (Linux) asks for no right to read a folder, only for the right to pass through it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class found:  # noqa: N801 - it reads as what it does; a generator would cost each file more
    """The folder that holds the end of *place*, as a descriptor, and the last name in it.

    The last name is `.` when the path ends at a folder that was walked already. With
    *follow* links are followed inside the root, and the last name is none. Without, as for
    all that is written or removed, no link may be on the way; the last name may be one and
    is not looked at. The root itself may be a link: that is the operator's word. Missing
    folders are made where *make_mode* says how.

    Raises, when it is entered:
        CallerError: `outside_root`, `destination_is_link`.
        OperatorError: `root_missing`.
        OSError: whatever else stands in the way.
    """

    __slots__ = ("_folders", "_links", "_make_mode", "_may_follow", "_place")

    def __init__(
        self, place: LocalPlace, *, follow: bool = True, make_mode: int | None = None
    ) -> None:
        self._place = place
        self._may_follow = follow
        self._make_mode = make_mode
        self._links = 0
        self._folders: list[int] = []

    def __enter__(self) -> tuple[int, str]:
        self._folders.append(_open_root(self._place))
        try:
            return self._to_the_end()
        except BaseException:
            self.__exit__()
            raise

    def keep(self) -> int:
        """The folder that was found, which is the caller's to close from here on."""
        return self._folders.pop()

    def __exit__(self, *_: object) -> None:
        while self._folders:
            os.close(self._folders.pop())

    def _to_the_end(self) -> tuple[int, str]:
        ahead = _components(self._place.path)[::-1]
        while ahead:
            name = ahead.pop()
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

    def _enter(self, name: str, ahead: list[str]) -> None:
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

    def _follow(self, target: str, ahead: list[str]) -> None:
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
        ahead.extend(reversed(_components(target)))


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
