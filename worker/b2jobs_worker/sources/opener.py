"""From a location to the source or sink that serves it."""

from __future__ import annotations

from collections.abc import Callable

from b2jobs import locations
from b2jobs.errors import CallerError
from b2jobs.for_people import masked
from b2jobs.locations import (
    InlineData,
    InvalidLocation,
    LocalPath,
    Location,
    RootPath,
    StagedBytes,
    StoreObject,
    WebFile,
)
from b2jobs.redis.pieces import Pieces
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import stores
from b2jobs_worker.sources.inline import InlineSource
from b2jobs_worker.sources.local import LocalSource
from b2jobs_worker.sources.port import Sink, Source
from b2jobs_worker.sources.roots import StorePlace, place, store_place
from b2jobs_worker.sources.sink import LocalSink
from b2jobs_worker.sources.staged import StagedSource
from b2jobs_worker.sources.stores import open_object
from b2jobs_worker.sources.target import ObjectTarget
from b2jobs_worker.sources.web import WebSource
from b2jobs_worker.sources.web_connection import Opening


def open_source(
    location: str | Location,
    settings: Settings,
    pieces: Pieces | None = None,
    *,
    resuming: bool = False,
    opening: Opening | None = None,
) -> Source:
    """Open what *location* names for reading; the caller closes it.

    *pieces*: where staged bytes are read. *resuming*: the first `Source.open` will not begin
    at the start, so no body is asked for before it. *opening* ends the look at an https source
    from another thread.

    Raises:
        JobError: whatever the place says; see docs/sources.md for the codes.
    """
    location = _parsed(location)
    match location:
        case RootPath() | LocalPath():
            target = place(location, settings)
            if isinstance(target, StorePlace):
                return open_object(target, settings, resuming=resuming)
            return LocalSource(target)
        case StoreObject():
            return open_object(StorePlace(location, str(location)), settings, resuming=resuming)
        case WebFile():
            return WebSource(location, settings, resuming=resuming, opening=opening)
        case InlineData():
            return InlineSource(location)
        case StagedBytes() if pieces is not None:
            return StagedSource(location, pieces)
        case _:
            raise _not_served(location, "source")


def open_sink(
    location: str | Location,
    settings: Settings,
    job_id: str,
    *,
    durable: bool = True,
    replaces: str | None = None,
) -> Sink:
    """Prepare a download to *location*; the disk is touched when the sink is opened.

    *durable*, *replaces*: see `LocalSink`.

    Raises:
        JobError: whatever `LocalSink` raises, or `destination_unsupported`.
    """
    location = _parsed(location)
    if isinstance(location, RootPath | LocalPath):
        target = place(location, settings)
        if not isinstance(target, StorePlace):
            return LocalSink(
                target,
                job_id,
                durable=durable,
                mode=int(settings.download_mode, 8),
                replaces=replaces,
            )
    raise _not_served(location, "destination")


def open_target(
    location: str | Location, settings: Settings, checkpoint: Callable[[], None]
) -> ObjectTarget | None:
    """What writes *location* where it is an object of another store; None where it is a file.

    Raises:
        JobError: whatever `stores.open_target` raises.
    """
    found = store_place(_parsed(location), settings)
    return None if found is None else stores.open_target(found, settings, checkpoint)


def _parsed(location: str | Location) -> Location:
    if not isinstance(location, str):
        return location
    try:
        return locations.parse(location)
    except InvalidLocation as error:
        raise CallerError(error.code, str(error), hint=error.hint) from error


def _not_served(location: Location, end: str) -> CallerError:
    return CallerError(
        f"{end}_unsupported",
        f"{masked(str(location))[:120]} cannot be the {end} of this kind of job.",
        hint="`b2jobs docs sources` lists what can.",
    )
