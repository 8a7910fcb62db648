"""The two sides of a sync, as its request names them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from b2jobs.errors import JobError
from b2jobs.locations import B2File, LocalPath, Location, RootPath
from b2jobs.patterns import chosen, silenced
from b2jobs.requests import Sync
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.beneath import found
from b2jobs_worker.sources.case import folds_case
from b2jobs_worker.sources.encoding import encoded, to_local
from b2jobs_worker.sources.limits import Limits
from b2jobs_worker.sources.listing import as_prefix
from b2jobs_worker.sources.local import file_identity, open_file
from b2jobs_worker.sources.names import LocalNames, Refused, b2_problem, store_names
from b2jobs_worker.sources.port import Problem
from b2jobs_worker.sources.roots import LocalPlace, place, store_place, writable
from b2jobs_worker.sources.stores import writable_store
from b2jobs_worker.sources.tree import Links
from b2jobs_worker.sync import bucket, folder
from b2jobs_worker.sync.digests import DigestCache, with_digests
from b2jobs_worker.sync.entries import Entry, Trouble
from b2jobs_worker.sync.objects import with_objects
from b2jobs_worker.sync.plan import Pair, Tally, pairs, within
from b2jobs_worker.sync.rules import Deletion, Direction, Rules

Listing = Callable[[str], Iterator[Entry]]
Local = RootPath | LocalPath
MOST_LOOSE = 10_000


@dataclass(frozen=True)
class Sides:
    """Both listings, from any name on, and what one side means to the other.

    loose: problems that the listings met and that have no place in their order.
    complete: asks for what is compared and no listing tells: digests of files, objects' times.
    info: what copies have in place of the source's info; None leaves them that.
    customer_key: the name of the key that reads sources which are encrypted with it.
    encodes: local paths are written as the names that their files have in B2.
    """

    rules: Rules
    source: str
    destination: str
    list_source: Listing
    list_destination: Listing
    make_refuse: Callable[[], Callable[[str], Refused | None]]
    complete: Callable[[Iterator[Pair]], Iterator[Pair]]
    loose: list[Problem]
    limits: Limits | None = None
    info: Mapping[str, str] | None = None
    customer_key: str | None = None
    encodes: bool = False

    def matched(self, tally: Tally, after: str = "") -> Iterator[Pair]:
        """Both sides by name, behind *after*, with all that the comparison needs.

        What takes no part by its age or size is counted in *tally*, and not there.
        """
        matched = pairs(self.list_source(after), self.list_destination(after))
        if self.limits is not None:
            matched = within(matched, self.limits, tally)
        return self.complete(matched)

    def refused_in_b2(self, name: str, *, is_source: bool = False) -> Refused | None:
        """Why nothing can be done with a side's file *name* by its name, only by its id."""
        side = self.source if is_source else self.destination
        return b2_problem(side.split("/", 3)[3] + name)


def sides_of(
    request: Sync,
    client: B2Client,
    reader: B2Client,
    settings: Settings,
    digests: DigestCache,
    now_millis: int,
) -> Sides:
    """Find both sides; nothing is listed yet. Ages are told from *now_millis*.

    *reader* lists a source in B2, which may be another account's than the destination's, *client*.

    Raises:
        JobError: `root_unknown`, `root_read_only`, `store_read_only`, `listing_unsupported`.
    """
    source, destination = request.source_location, request.destination_location
    is_chosen = chosen(request.include, request.exclude)
    is_excluded = silenced(request.include, request.exclude)
    deletion: Deletion = "keep_days" if request.keep_days is not None else request.delete

    def filtered(listing: Listing) -> Listing:
        if not request.include and not request.exclude:
            return listing
        return lambda after: (
            entry if entry.trouble is None else _judged(entry, entry.trouble, is_excluded)
            for entry in listing(after)
            if entry.trouble or is_chosen(entry.name)
        )

    direction: Direction = "up"
    if isinstance(source, B2File):
        direction = "copy" if isinstance(destination, B2File) else "down"
    rules = Rules(
        direction,
        request.compare,
        request.newer,
        deletion,
        request.keep_days or 0.0,
        client.account().http.server_millis() if deletion == "keep_days" else 0,
    )
    loose: list[Problem] = []
    encodes = request.names == "encode"

    def keep(problem: Problem) -> None:
        if len(loose) < MOST_LOOSE and not is_excluded(problem.name):
            loose.append(problem)

    if isinstance(source, B2File):
        list_source = _bucket(reader, source, versions=False)
    else:
        list_source = _folder(source, settings, request.symlinks, keep, encodes=encodes)
    other = destination if isinstance(source, B2File) else source
    if isinstance(destination, B2File):
        list_destination = _bucket(client, destination, versions=rules.needs_versions)
        make_refuse = _refuse_for_b2(destination.name)
    else:
        # What is written or removed lies in the destination itself, never behind a link.
        links: Links = "report" if request.symlinks == "follow" else "skip"
        list_destination = _folder(
            destination, settings, links, keep, is_destination=True, encodes=encodes
        )
        make_refuse = _refuse_below(destination, settings, decodes=encodes)
    objects = store_place(other, settings)
    complete: Callable[[Iterator[Pair]], Iterator[Pair]] = iter
    if objects is not None:
        if rules.direction == "up":
            # Stores list times to the millisecond and send them with a file to the second.
            rules = replace(rules, same_millis=999)
        complete = partial(
            with_objects,
            side=as_prefix(objects),
            settings=settings,
            rules=rules,
            is_source=rules.direction == "up",
        )
    elif request.compare == "sha1" and isinstance(other, RootPath | LocalPath):
        local = place(other, settings)
        assert isinstance(local, LocalPlace)
        complete = partial(with_digests, digest=_digester(local, digests, decodes=encodes))
    return Sides(
        rules,
        encoded(source) if encodes and isinstance(source, Local) else request.source,
        encoded(destination) if encodes and isinstance(destination, Local) else request.destination,
        filtered(list_source),
        filtered(list_destination),
        make_refuse,
        complete,
        loose,
        Limits.of(request, now_millis) if request.has_limits else None,
        request.info,
        request.customer_key,
        encodes,
    )


def _judged(entry: Entry, trouble: Trouble, is_excluded: Callable[[str], bool]) -> Entry:
    return entry._replace(trouble=trouble._replace(is_excluded=is_excluded(entry.name)))


def _bucket(client: B2Client, side: B2File, *, versions: bool) -> Listing:
    return lambda after: bucket.listed(client, side, versions=versions, after=after)


def _folder(
    side: Location,
    settings: Settings,
    links: Links,
    keep: Callable[[Problem], None],
    *,
    is_destination: bool = False,
    encodes: bool = False,
) -> Listing:
    return lambda after: folder.listed(
        side,
        settings,
        symlinks=links,
        after=after,
        may_be_missing=is_destination,
        loose=keep,
        encodes=encodes,
    )


def _refuse_for_b2(prefix: str) -> Callable[[], Callable[[str], Refused | None]]:
    return lambda: lambda name: b2_problem(prefix + name)


def _refuse_below(
    side: Location, settings: Settings, *, decodes: bool = False
) -> Callable[[], Callable[[str], Refused | None]]:
    """What judges names for a destination that is not in B2, which may be written."""
    objects = store_place(side, settings)
    if objects is not None:
        writable_store(objects, settings)
        return lambda: store_names(as_prefix(objects).target.key)
    assert isinstance(side, RootPath | LocalPath)
    where = place(side, settings)
    assert isinstance(where, LocalPlace)
    # A side that lies behind a link is refused as a whole, before anything is compared.
    with suppress(OSError), found(replace(where, path=f"{where.path}-"), follow=False):
        pass
    folder = writable(where)
    return lambda: LocalNames(folds_case=folds_case(folder), decodes=decodes).judge


def _digester(
    side: LocalPlace, digests: DigestCache, *, decodes: bool = False
) -> Callable[[Entry], str | None]:
    def digest(entry: Entry) -> str | None:
        name = to_local(entry.name) if decodes else entry.name
        path = f"{side.path.rstrip('/')}/{name}".lstrip("/")
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
