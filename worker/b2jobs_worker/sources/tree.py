"""A folder and all below it, as a stream in byte order of the whole relative names.

That order is not the one of each folder for itself: `a.txt` comes before what is in `a`,
because `.` is before `/`. Sorting folders as their name with a `/` behind gives it, and
Python's order of strings is the order of their UTF-8 bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Literal

from b2jobs.errors import CallerError, JobError
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.encoding import part_to_b2, to_local
from b2jobs_worker.sources.local import file_identity
from b2jobs_worker.sources.parts import is_part
from b2jobs_worker.sources.port import Entry, Problem
from b2jobs_worker.sources.roots import LocalPlace

Links = Literal["follow", "skip", "report"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def list_tree(
    place: LocalPlace,
    report: Callable[[Problem], None],
    *,
    links: Links,
    after: str = "",
    enter: Callable[[str], bool] | None = None,
    encodes: bool = False,
) -> Iterator[Entry]:
    """See `listing.list_root`. The folder itself is opened at once, the rest while iterating."""
    tree = _Tree(place, report, links, after, enter, encodes=encodes)
    try:
        tree.push(_open_folder(place, follow=links != "report"), "", "")
    except NotADirectoryError as error:
        raise CallerError(
            "source_not_a_directory",
            f"{place.uri} is not a folder.",
            hint="Upload a single file with upload, or name the folder it is in.",
        ) from error
    except OSError as error:
        raise failures.source_error(error, place.uri) from error
    return tree.entries()


class _Folder:
    """One folder on the way: its descriptor, and its names yet to come, the next one last.

    own: the names on the disk, of those that are written another way; path: its own.
    """

    __slots__ = ("descriptor", "links", "names", "own", "path", "prefix")

    def __init__(self, descriptor: int, prefix: str, path: str) -> None:
        self.descriptor = descriptor
        self.prefix = prefix
        self.path = path
        self.own: dict[str, str] = {}
        self.names: list[str] = []
        self.links: set[str] = set()


class _Tree:
    def __init__(
        self,
        place: LocalPlace,
        report: Callable[[Problem], None],
        links: Links,
        after: str,
        enter: Callable[[str], bool] | None,
        *,
        encodes: bool,
    ) -> None:
        self._encodes = encodes
        self._place = place
        self._report = report
        self._links = links
        self._after = after
        self._enter = enter
        self._way: list[_Folder] = []

    def entries(self) -> Iterator[Entry]:
        try:
            while self._way:
                folder = self._way[-1]
                if not folder.names:
                    os.close(self._way.pop().descriptor)
                    continue
                name = folder.names.pop()
                if name.endswith("/"):
                    self._go_into(folder, name)
                elif (entry := self._entry(folder, name)) is not None:
                    yield entry
        finally:
            while self._way:
                os.close(self._way.pop().descriptor)

    def push(self, descriptor: int, prefix: str, path: str) -> None:
        """Go into a folder that is open; its descriptor is ours from here on."""
        folder = _Folder(descriptor, prefix, path)
        try:
            self._read_names(folder)
        except OSError:
            os.close(descriptor)
            raise
        self._way.append(folder)

    def _read_names(self, folder: _Folder) -> None:
        prefix, names = folder.prefix, folder.names
        with os.scandir(folder.descriptor) as found_here:
            for item in found_here:
                name = item.name
                if self._encodes:
                    name = part_to_b2(item.name)
                    if name != item.name:
                        folder.own[name] = item.name
                elif not name.isascii() and not _is_utf8(name):
                    self._tell_not_utf8(prefix, name)
                    continue
                if item.is_symlink():
                    if self._links == "skip":
                        continue
                    name += "/" if _leads_to_folder(item) else ""
                    folder.links.add(name)
                elif item.is_dir(follow_symlinks=False):
                    name += "/"
                elif is_part(item.name):
                    continue
                names.append(name)
        if self._after:
            names[:] = [n for n in names if self._is_ahead(prefix + n, n in folder.links)]
        names.sort(reverse=True)

    def _is_ahead(self, name: str, is_link: bool) -> bool:
        """Whether *name*, or something in the folder *name*, comes behind `after`.

        A link that leads to nothing may have been a folder: it is told of again as long as
        names below it may come.
        """
        if name > self._after:
            return True
        if name.endswith("/"):
            return self._after.startswith(name)
        return is_link and self._after < f"{name}/\U0010ffff"

    def _go_into(self, folder: _Folder, name: str) -> None:
        prefix = folder.prefix + name
        own = folder.own.get(name[:-1], name[:-1])
        path = f"{folder.path}{own}/"
        if self._enter is not None and not self._enter(prefix):
            return
        try:
            if name in folder.links:
                if self._links == "report":
                    self._tell(prefix, "destination_is_link", "is a link to a folder")
                    return
                descriptor = _open_folder(self._below(prefix[:-1], path[:-1]))
                if self._is_on_the_way(descriptor):
                    os.close(descriptor)
                    self._tell(prefix, "link_loop", "is a link to a folder that it lies in")
                    return
            else:
                descriptor = os.open(own, _FOLDER, dir_fd=folder.descriptor)
            self.push(descriptor, prefix, path)
        except FileNotFoundError:
            if name in folder.links:
                self._tell(prefix, "source_missing", "is a link to nothing")
            return  # it vanished; then it is not there
        except OSError as error:
            self._tell_error(prefix, failures.source_error(error, f"{self._shown(prefix)}"))
        except JobError as error:
            self._tell_error(prefix, error)

    def _entry(self, folder: _Folder, name: str) -> Entry | None:
        whole = folder.prefix + name
        on_disk = folder.own.get(name, name)
        path = folder.path + on_disk
        try:
            own = os.stat(on_disk, dir_fd=folder.descriptor, follow_symlinks=False)
            if name in folder.links:
                with found(self._below(whole, path)) as (where, last):
                    status = os.stat(last, dir_fd=where, follow_symlinks=False)
            else:
                status = own
            identity = file_identity(own if self._links == "report" else status)
        except FileNotFoundError:
            if name in folder.links:
                self._tell(whole, "source_missing", "is a link to nothing")
            return None
        except OSError as error:
            self._tell_error(whole, failures.source_error(error, self._shown(whole)))
            return None
        except JobError as error:
            self._tell_error(whole, error)
            return None
        if not stat.S_ISREG(status.st_mode):
            self._tell(whole, "source_not_a_file", "is not a regular file")
            return None
        if whole <= self._after:
            return None
        if self._encodes and to_local(whole) != path:
            self._tell(whole, "name_refused", "has a name that cannot be written another way")
            return None
        return Entry(whole, status.st_size, status.st_mtime_ns // 1_000_000, identity)

    def _is_on_the_way(self, descriptor: int) -> bool:
        status = os.fstat(descriptor)
        return any(os.path.samestat(status, os.fstat(folder.descriptor)) for folder in self._way)

    def _below(self, name: str, path: str) -> LocalPlace:
        base = self._place.path
        inside = f"{base.rstrip('/')}/{path}" if base else path
        return LocalPlace(self._place.root, inside, self._shown(name))

    def _shown(self, name: str) -> str:
        return f"{self._place.uri.rstrip('/')}/{name}"

    def _tell(self, name: str, code: str, words: str) -> None:
        self._report(Problem(name, code, f"{self._shown(name)} {words}."))

    def _tell_error(self, name: str, error: JobError) -> None:
        self._report(Problem(name, error.code, error.message))

    def _tell_not_utf8(self, prefix: str, name: str) -> None:
        readable = prefix + os.fsencode(name).decode("utf-8", "backslashreplace")
        self._tell(readable, "name_not_utf8", "has a name that is not UTF-8")


def _open_folder(place: LocalPlace, *, follow: bool = True) -> int:
    with found(place, follow=follow) as (where, name):
        return os.open(name, _FOLDER, dir_fd=where)


def _leads_to_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:
        return False  # a circle of links, or a folder closed to us: told when its turn comes


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
