"""A folder below a root, or a prefix of another object store, as one side of a sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from b2jobs.errors import CallerError
from b2jobs.locations import Location
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.listing import list_root
from b2jobs_worker.sources.port import Entry as Listed
from b2jobs_worker.sources.port import Problem
from b2jobs_worker.sources.tree import Links
from b2jobs_worker.sync.entries import Entry, Trouble

_HIDES_NOTHING = "source_name_unsupported"  # an object's name; there are no folders
_NO_FILES = "source_not_a_file"  # devices, pipes and sockets take no part


def listed(
    side: Location,
    settings: Settings,
    *,
    symlinks: Links,
    after: str,
    may_be_missing: bool,
    loose: Callable[[Problem], None],
    encodes: bool = False,
) -> Iterator[Entry]:
    """The files below *side*, and in their places what could not be read, with its `trouble`.

    What is known to be a folder has a `/` at its end. A problem that has no place in the
    order, since its name is no text, is told to *loose*.

    Raises:
        JobError: as `list_root`.
    """
    told: list[Problem] = []
    try:
        found = list_root(
            side, settings, report=told.append, symlinks=symlinks, after=after, encodes=encodes
        )
    except CallerError as error:
        if may_be_missing and error.code == "source_missing":
            return iter(())
        raise
    return _in_order(found, told, loose)


def _in_order(
    found: Iterator[Listed], told: list[Problem], loose: Callable[[Problem], None]
) -> Iterator[Entry]:
    last = ""
    for name, size, modified_millis, identity, has_modified, sha1 in found:
        if told:
            for problem in _placed(told, last, name, loose):
                yield problem
                last = problem.name
        yield Entry(name, size, modified_millis, sha1, "", identity, (), True, has_modified)
        last = name
    yield from _placed(told, last, None, loose)


def _placed(
    told: list[Problem], last: str, following: str | None, loose: Callable[[Problem], None]
) -> list[Entry]:
    """Those of *told* that belong between two names; the others are passed on."""
    placed: dict[str, Entry] = {}
    for problem in told:
        if problem.code == _NO_FILES:
            continue
        if problem.name > last and (following is None or problem.name < following):
            trouble = Trouble(problem.message, hides_folder=problem.code != _HIDES_NOTHING)
            placed[problem.name] = Entry(problem.name, trouble=trouble)
        else:
            loose(problem)
    told.clear()
    return [placed[name] for name in sorted(placed)]
