"""Files below a prefix, sorted by the bytes of their names, from any of them on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from b2jobs.locations import B2File
from b2jobs_worker.b2.door import Door


class Listed(NamedTuple):
    """A file: its name below the prefix, its size and, where the listing tells it, its SHA-1."""

    name: str
    size: int
    sha1: str | None = None


def below_bucket(door: Door, prefix: B2File, after: str) -> Iterator[Listed]:
    """The visible files behind *after*. One class C call for each thousand."""
    bucket = door.bucket(prefix.bucket)
    start: str | None = prefix.name + after if after else None
    while True:
        page, start = door.list_names(bucket, prefix=prefix.name, start=start)
        for version in page:
            name = version.name.removeprefix(prefix.name)
            if name and name.encode() > after.encode():
                yield Listed(name, version.size, version.sha1)
        if start is None:
            return


def below_folder(folder: str, after: str) -> Iterator[Listed]:
    """The files of a local folder behind *after*; symbolic links are left out.

    Folders are entered one by one: memory is that of the largest folder's names. One that is
    removed while the listing runs is passed over.
    """
    yield from _below(folder, "", os.fsencode(after))


def _below(folder: str, prefix: str, after: bytes) -> Iterator[Listed]:
    try:
        with os.scandir(os.path.join(folder, prefix)) as entries:  # noqa: PTH118  # hot
            found = [
                (prefix + entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""), entry)
                for entry in entries
                if not entry.is_symlink()
            ]
    except FileNotFoundError:
        return
    keyed = sorted((os.fsencode(name), name, entry) for name, entry in found)
    for key, name, entry in keyed:
        if name.endswith("/"):
            if key > after or after.startswith(key):
                yield from _below(folder, name, after)
        elif key > after and entry.is_file(follow_symlinks=False):
            try:
                yield Listed(name, entry.stat(follow_symlinks=False).st_size)
            except FileNotFoundError:
                continue
