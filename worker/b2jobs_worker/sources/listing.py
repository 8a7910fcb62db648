"""Listings: everything below a location as a stream, in the order in which B2 sorts names.

Two streams in one order can be compared without holding either, which is what a sync does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from b2jobs.errors import CallerError
from b2jobs.locations import LocalPath, Location, RootPath, StoreObject
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.failures import names_unsupported
from b2jobs_worker.sources.port import Entry, Problem
from b2jobs_worker.sources.roots import StorePlace, place
from b2jobs_worker.sources.stores import list_objects
from b2jobs_worker.sources.tree import Links, list_tree


def list_root(
    location: Location,
    settings: Settings,
    *,
    report: Callable[[Problem], None],
    symlinks: Links = "follow",
    after: str = "",
    enter: Callable[[str], bool] | None = None,
    encodes: bool = False,
) -> Iterator[Entry]:
    """Every file below *location*, in byte order of its name relative to it.

    *report* is told what is passed over, and the listing goes on: folders and files that
    cannot be read, links that leave the root or turn in circles, names that are not UTF-8,
    what is neither file nor folder. Part files of downloads are passed over in silence, and
    so is what vanishes while the listing runs.

    *symlinks*: `report`, for where something is to be written, goes into no link: not on the
    way to *location*, and one to a folder is a problem `NAME/`. A link to a file is listed
    with that file's size and time, and the identity of its own. `skip` leaves out all below
    *location*, in silence.

    *after*: begin behind this name, which need not exist any more; folders before it are not
    read. *enter* is asked for each folder, as `a/b/`, whether to go into it. Both are the
    same for object stores, where *enter* is not asked: there are no folders.

    *encodes*: names are those that the files have in B2 (see `encoding`), in their order; nothing
    is passed over as no text. Only for folders.

    Memory: the names of the folders on the way to the current file, so one folder of ten
    million files needs about a gigabyte.

    Raises:
        CallerError: `source_missing`, `source_not_a_directory`, `outside_root`, ... for
            *location* itself.
        OperatorError: `source_unreadable` for *location* itself, `listing_unordered`, and
            what object stores say.
    """
    match location:
        case RootPath() | LocalPath():
            target = place(location, settings)
        case StoreObject():
            target = StorePlace(location, str(location))
        case _:
            raise CallerError(
                "listing_unsupported",
                f"{str(location)[:120]} cannot be listed.",
                hint="Folders below a root and prefixes of object stores can.",
            )
    if isinstance(target, StorePlace) and encodes:
        raise names_unsupported(str(location))
    if isinstance(target, StorePlace):
        return list_objects(as_prefix(target), settings, report, after)
    return list_tree(target, report, links=symlinks, after=after, enter=enter, encodes=encodes)


def as_prefix(target: StorePlace) -> StorePlace:
    """`archive` as `archive/`: below it lies `archive/x`, not `archive-2/x`."""
    at = target.target
    if at.is_prefix:
        return target
    return replace(target, target=StoreObject(at.scheme, at.bucket, at.key + "/"))
