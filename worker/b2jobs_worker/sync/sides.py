"""The two sides of a sync, as its request names them."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from time import time_ns

from b2jobs import locations
from b2jobs.errors import CallerError, JobError
from b2jobs.locations import B2File, LocalPath, Location, RootPath
from b2jobs.patterns import chosen
from b2jobs.requests import Sync
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.local import file_identity, open_file
from b2jobs_worker.sources.names import LocalNames, Refused, b2_problem
from b2jobs_worker.sources.port import Problem
from b2jobs_worker.sources.roots import LocalPlace, place
from b2jobs_worker.sync import bucket, folder
from b2jobs_worker.sync.digests import DigestCache, with_digests
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.plan import Pair, pairs
from b2jobs_worker.sync.rules import Deletion, Direction, Rules

Listing = Callable[[str], Iterator[Entry]]
MOST_LOOSE = 10_000


@dataclass(frozen=True)
class Sides:
    """Both listings, from any name on, and what one side means to the other.

    loose: problems that the listings met and that have no place in their order.
    """

    rules: Rules
    source: str
    destination: str
    list_source: Listing
    list_destination: Listing
    make_refuse: Callable[[], Callable[[str], Refused | None]]
    digest: Callable[[Entry], str | None] | None
    loose: list[Problem]

    def matched(self, after: str = "") -> Iterator[Pair]:
        """Both sides by name, behind *after*; with local digests where they are compared."""
        matched = pairs(self.list_source(after), self.list_destination(after))
        return matched if self.digest is None else with_digests(matched, self.digest)


def sides_of(request: Sync, client: B2Client, settings: Settings, digests: DigestCache) -> Sides:
    """Find both sides; nothing is listed yet.

    Raises:
        JobError: `root_unknown`, `root_read_only`, `listing_unsupported`, `sha1_unavailable`.
    """
    source, destination = locations.parse(request.source), locations.parse(request.destination)
    is_chosen = chosen(request.include, request.exclude)
    deletion: Deletion = "keep_days" if request.keep_days is not None else request.delete

    def filtered(listing: Listing) -> Listing:
        if not request.include and not request.exclude:
            return listing
        return lambda after: (e for e in listing(after) if e.problem or is_chosen(e.name))

    direction: Direction = "up"
    if isinstance(source, B2File):
        direction = "copy" if isinstance(destination, B2File) else "down"
    rules = Rules(
        direction,
        request.compare,
        request.newer,
        deletion,
        request.keep_days or 0.0,
        time_ns() // 1_000_000,
    )
    loose: list[Problem] = []
    local: LocalPlace | None = None
    if isinstance(source, B2File):
        list_source = _bucket(client, source, versions=False)
    else:
        local = _local(source, settings)
        list_source = _folder(source, settings, request, loose)
    if isinstance(destination, B2File):
        list_destination = _bucket(client, destination, versions=rules.needs_versions)
        make_refuse = _refuse_for_b2(destination.name)
    else:
        local = _writable(destination, settings)
        list_destination = _folder(destination, settings, request, loose, may_be_missing=True)
        make_refuse = _refuse_for_folder(local)
    digest = None
    if request.compare == "sha1" and rules.direction != "copy":
        if local is None:
            raise CallerError(
                "sha1_unavailable",
                f"{request.source} does not tell the SHA-1 of its objects.",
                hint="Compare by modtime or size.",
            )
        digest = _digester(local, digests)
    if rules.direction == "up" and local is None:
        # Other stores list times to the millisecond and send them with a file to the second.
        rules = replace(rules, same_millis=999)
    return Sides(
        rules,
        request.source,
        request.destination,
        filtered(list_source),
        filtered(list_destination),
        make_refuse,
        digest,
        loose,
    )


def _bucket(client: B2Client, side: B2File, *, versions: bool) -> Listing:
    return lambda after: bucket.listed(client, side, versions=versions, after=after)


def _folder(
    side: Location,
    settings: Settings,
    request: Sync,
    loose: list[Problem],
    *,
    may_be_missing: bool = False,
) -> Listing:
    def keep(problem: Problem) -> None:
        if len(loose) < MOST_LOOSE:
            loose.append(problem)

    return lambda after: folder.listed(
        side,
        settings,
        symlinks=request.symlinks,
        after=after,
        may_be_missing=may_be_missing,
        loose=keep,
    )


def _local(side: Location, settings: Settings) -> LocalPlace | None:
    """Where *side* is on this worker; None in another store."""
    if isinstance(side, RootPath | LocalPath):
        where = place(side, settings)
        return where if isinstance(where, LocalPlace) else None
    return None


def _writable(side: Location, settings: Settings) -> LocalPlace:
    where = _local(side, settings)
    if where is None:
        raise CallerError(
            "destination_unsupported", f"{side} cannot be the destination: it cannot be written."
        )
    if not where.root.writable:
        raise CallerError(
            "root_read_only",
            f"The root {where.root.name!r} is read only.",
            hint='Choose another root, or set access = "read-write" for it in the config file.',
        )
    return where


def _refuse_for_b2(prefix: str) -> Callable[[], Callable[[str], Refused | None]]:
    return lambda: lambda name: b2_problem(prefix + name)


def _refuse_for_folder(side: LocalPlace) -> Callable[[], Callable[[str], Refused | None]]:
    return lambda: LocalNames(folds_case=folds_case(side)).judge


def folds_case(side: LocalPlace) -> bool:
    """Whether the folder takes `A` and `a` for one name. Makes a file there for a moment."""
    probe = f".b2jobs-{secrets.token_hex(8)}a"
    try:
        with found(replace(side, path=side.path.rstrip("/")), follow_last=True) as (parent, name):
            inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
    except (OSError, JobError):
        return False  # it is not there yet; what is made later is as its parent is
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=inside))
        try:
            os.stat(probe.upper(), dir_fd=inside)
        except FileNotFoundError:
            return False
        finally:
            os.unlink(probe, dir_fd=inside)
        return True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.close(inside)


def _digester(side: LocalPlace, digests: DigestCache) -> Callable[[Entry], str | None]:
    def digest(entry: Entry) -> str | None:
        path = f"{side.path.rstrip('/')}/{entry.name}".lstrip("/")
        where = f"{side.root.folder}/{path}"
        known = digests.get(where, entry.identity)
        if known is not None:
            return known
        try:
            descriptor = open_file(replace(side, path=path))
        except JobError:
            return None  # it is gone or may not be read; the transfer says which
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            sha1 = hashlib.file_digest(file, "sha1").hexdigest()
            if file_identity(os.fstat(file.fileno())) == entry.identity:
                digests.put(where, entry.identity, sha1)
        return sha1

    return digest
