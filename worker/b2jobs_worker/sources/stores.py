"""Other object stores: which client serves a store, with which credentials.

A bucket is served only when the secrets file has an entry for it or for its scheme, be it
an empty one: otherwise a producer could read whatever the worker's instance role may read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from b2jobs.errors import CallerError, OperatorError
from b2jobs_worker.secrets import secrets_file
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.port import Entry, Problem, Source
from b2jobs_worker.sources.roots import StorePlace

if TYPE_CHECKING:
    from collections.abc import Callable


def open_object(place: StorePlace, settings: Settings) -> Source:
    """Open one object for reading.

    Raises:
        CallerError: `source_missing`, `source_is_directory`, `source_name_unsupported`.
        OperatorError: `store_credentials_missing`, `store_extra_missing`,
            `store_misconfigured`, `source_forbidden`, `source_archived`.
        PassingError: `source_busy`, `source_unavailable`, `source_unreachable`.
    """
    if {"..", "."} & set(place.target.key.split("/")):
        raise CallerError(
            "source_name_unsupported",
            f"{place.uri} has '.' or '..' in its key.",
            hint="Such keys are not read: servers on the way may resolve them to other objects.",
        )
    if place.target.is_prefix:
        raise CallerError(
            "source_is_directory",
            f"{place.uri} is a prefix.",
            hint="Name one object, or use a batch or a sync for a whole prefix.",
        )
    credentials = _credentials(place, settings)
    try:
        if place.target.scheme == "s3":
            from b2jobs_worker.sources.s3 import S3Source

            return S3Source(place, credentials)
        from b2jobs_worker.sources.blobs import BlobSource

        return BlobSource(place, credentials)
    except ImportError as error:
        raise _extra_missing(place) from error


def list_objects(
    place: StorePlace, settings: Settings, report: Callable[[Problem], None], after: str
) -> Iterator[Entry]:
    """Every object below a prefix, by name relative to it; raises what `open_object` raises."""
    credentials = _credentials(place, settings)
    try:
        if place.target.scheme == "s3":
            from b2jobs_worker.sources.s3 import list_s3

            found = list_s3(place, credentials, report, after)
        else:
            from b2jobs_worker.sources.blobs import list_blobs

            found = list_blobs(place, credentials, report, after)
    except ImportError as error:
        raise _extra_missing(place) from error
    last = ""
    for entry in found:
        if entry.name <= last:
            raise OperatorError(
                "listing_unordered",
                f"{place.uri} lists {entry.name!r} behind {last!r}, which is not byte order.",
                hint="This kind of bucket (such as an S3 directory bucket) cannot be compared.",
            )
        last = entry.name
        yield entry


def _credentials(place: StorePlace, settings: Settings) -> dict[str, str]:
    target = place.target
    found: Mapping[str, SecretStr] | None = secrets_file(settings.secrets_file).store(
        target.scheme, target.bucket
    )
    if found is None:
        raise OperatorError(
            "store_credentials_missing",
            f"The secrets file has no credentials for {target.scheme}://{target.bucket}.",
            hint=f'Add them under "stores": {{"{target.scheme}://{target.bucket}": {{...}}}}; an '
            "empty object uses what the worker's surroundings give.",
        )
    return {key: value.get_secret_value() for key, value in found.items()}


def _extra_missing(place: StorePlace) -> OperatorError:
    return OperatorError(
        "store_extra_missing",
        f"This worker cannot read {place.target.scheme}:// locations.",
        hint="Install it with the extra: pip install 'b2jobs[worker,stores]'.",
    )
