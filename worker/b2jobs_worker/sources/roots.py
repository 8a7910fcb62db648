"""Roots: which place a location names, and whether it may be written.

A producer names a root; only the worker's configuration knows where that is.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from b2jobs.errors import CallerError, OperatorError
from b2jobs.locations import InvalidLocation, LocalPath, Location, RootPath, StoreObject, parse
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.failures import outside_root


@dataclass(frozen=True)
class FolderRoot:
    """A root that is a folder of this machine."""

    name: str
    folder: str
    writable: bool


@dataclass(frozen=True)
class LocalPlace:
    """A path below a folder root; not yet known to stay in it (see `beneath`)."""

    root: FolderRoot
    path: str
    uri: str


@dataclass(frozen=True)
class StorePlace:
    """An object of another store, and the URI the job named it by.

    root: the root it was named by, empty where it was named by itself. writable: what that
    root says; without one the store's entry in the secrets file says it.
    """

    target: StoreObject
    uri: str
    root: str = ""
    writable: bool = False


@dataclass(frozen=True)
class Store:
    """One bucket or container, what opens it, and a file of certificates besides the default.

    writable: what its entry in the secrets file says of those who name it by itself.
    """

    scheme: str
    bucket: str
    credentials: Mapping[str, str] = field(repr=False)
    verify: str | None = None
    writable: bool = False


def place(location: RootPath | LocalPath, settings: Settings) -> LocalPlace | StorePlace:
    """Where *location* is on this worker.

    Raises:
        CallerError: `root_unknown`, `outside_root`, `source_name_unsupported`.
        OperatorError: `root_invalid`, when the configured URL of the root cannot be one.
    """
    if isinstance(location, LocalPath):
        return _covering(location, settings)
    root = settings.roots.get(location.root)
    if root is None:
        known = ", ".join(sorted(settings.roots)) or "none"
        raise CallerError(
            "root_unknown",
            f"This worker has no root {location.root!r}.",
            hint=f"Configured roots: {known}. Add it to the file that B2JOBS_CONFIG names.",
        )
    target = _target(location.root, root.url, root.access)
    if isinstance(target, FolderRoot):
        return LocalPlace(target, location.path, str(location))
    if posixpath.normpath(location.path).split("/")[0] == "..":
        raise outside_root(str(location), location.root)
    if {"..", "."} & set(location.path.split("/")):
        raise CallerError(
            "source_name_unsupported",
            f"{location} has '.' or '..' in its path, which object stores do not resolve.",
            hint="Name the object by its plain key.",
        )
    prefix = target.key.rstrip("/")
    key = f"{prefix}/{location.path}" if prefix else location.path
    return StorePlace(
        StoreObject(target.scheme, target.bucket, key),
        str(location),
        location.root,
        root.access == "read-write",
    )


def store_place(location: Location, settings: Settings) -> StorePlace | None:
    """Where *location* is in another store; None where it is in none.

    Raises:
        JobError: as `place`.
    """
    if isinstance(location, StoreObject):
        return StorePlace(location, str(location))
    if isinstance(location, RootPath):
        root = settings.roots.get(location.root)
        if root and isinstance(_target(location.root, root.url, root.access), FolderRoot):
            return None
        found = place(location, settings)
        return found if isinstance(found, StorePlace) else None
    return None


def writable(where: LocalPlace) -> LocalPlace:
    """*where*, if its root may be written.

    Raises:
        CallerError: `root_read_only`.
    """
    if not where.root.writable:
        raise root_read_only(where.root.name)
    return where


def root_read_only(name: str) -> CallerError:
    return CallerError(
        "root_read_only",
        f"The root {name!r} is read only.",
        hint='Choose another root, or set access = "read-write" for it in the config file.',
    )


def folder_roots(settings: Settings) -> list[FolderRoot]:
    """Every configured root that is a folder."""
    targets = [_target(name, root.url, root.access) for name, root in settings.roots.items()]
    return [target for target in targets if isinstance(target, FolderRoot)]


@lru_cache(maxsize=256)
def _target(name: str, url: str, access: str) -> FolderRoot | StoreObject:
    try:
        target = parse(url)
    except InvalidLocation as error:
        raise _root_invalid(name, str(error)) from error
    if isinstance(target, LocalPath):
        return FolderRoot(name, os.path.normpath(target.path), access == "read-write")
    if isinstance(target, StoreObject):
        return target
    raise _root_invalid(name, "a root is a folder (file:///path) or a store (s3://bucket/prefix)")


def _root_invalid(name: str, reason: str) -> OperatorError:
    return OperatorError(
        "root_invalid",
        f"The root {name!r} cannot be used: {reason.rstrip('.')}.",
        hint=f'Correct url under [roots."{name}"] in the config file.',
    )


def _covering(location: LocalPath, settings: Settings) -> LocalPlace:
    """The innermost folder root that *location* is written below, by path alone.

    `..` is left for the walk to judge, so `/root/../etc` is found here and refused there.
    """
    best: tuple[FolderRoot, str] | None = None
    for root in folder_roots(settings):
        for folder in {root.folder, os.path.realpath(root.folder)}:
            inside = below(folder, location.path)
            if inside is not None and (best is None or len(root.folder) > len(best[0].folder)):
                best = root, inside
    if best is None:
        raise CallerError(
            "outside_root",
            f"{location} is not inside a root of this worker.",
            hint="file:// serves only what is below a configured root.",
        )
    return LocalPlace(best[0], best[1], str(location))


def below(folder: str, path: str) -> str | None:
    """*path* relative to *folder*, or None when it is not written below it."""
    prefix = folder.rstrip("/") + "/"
    if path.startswith(prefix):
        return path[len(prefix) :]
    return "" if path == folder else None
