"""Other object stores: which client serves a store, with which credentials.

A bucket is served only when the secrets file has an entry for it or for its scheme, be it
an empty one: otherwise a producer could read whatever the worker's instance role may read.
Two stores of one kind are told apart by a name before the bucket: `s3://minio@bucket/key`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from b2jobs.errors import CallerError, OperatorError
from b2jobs_worker.secrets import secrets_file
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.port import Entry, Problem, Source
from b2jobs_worker.sources.roots import Store, StorePlace, root_read_only
from b2jobs_worker.sources.target import key_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from b2jobs_worker.sources.target import ObjectTarget, Stored


def open_object(place: StorePlace, settings: Settings, *, resuming: bool = False) -> Source:
    """Open one object for reading. *resuming*: no body is asked for before `Source.open`.

    Raises:
        CallerError: `source_missing`, `source_is_directory`, `source_name_unsupported`,
            `source_refused`.
        OperatorError: `store_credentials_missing`, `store_extra_missing`,
            `store_misconfigured`, `store_clock_wrong`, `source_forbidden`, `source_archived`,
            `source_encrypted`, `tls_untrusted`.
        PassingError: `source_busy`, `source_unavailable`, `source_unreachable`.
    """
    if {"..", "."} & set(place.target.key.split("/")):
        raise CallerError(
            "source_name_unsupported",
            f"{place.uri} has '.' or '..' in its key.",
            hint="Such keys are not read: servers on the way may resolve them to other objects.",
        )
    if not place.target.key:
        raise failures.source_is_prefix(place.uri)
    store = _store(place, settings)
    try:
        if store.scheme == "azure":
            from b2jobs_worker.sources.azure import AzureSource

            return AzureSource(place, store, resuming=resuming)
        from b2jobs_worker.sources.s3 import S3Source

        return S3Source(place, store, resuming=resuming)
    except ImportError as error:
        raise _extra_missing(place) from error


def open_target(
    place: StorePlace, settings: Settings, checkpoint: Callable[[], None]
) -> ObjectTarget:
    """Prepare to write one object; the store is not asked yet.

    *checkpoint* is called while bytes are sent, and may raise to end that.

    Raises:
        CallerError: `root_read_only`, `store_read_only`, `destination_is_directory`,
            `destination_name_refused`.
        OperatorError: `store_credentials_missing`, `store_extra_missing`, `store_misconfigured`.
    """
    store = writable_store(place, settings)
    if place.target.is_prefix:
        raise failures.destination_is_directory(place.uri)
    problem = key_problem(place.target.key)
    if problem:
        raise CallerError(
            "destination_name_refused",
            f"{place.uri} cannot be written: {problem}.",
            hint="Choose another key.",
        )
    return _target(place, store, checkpoint)


def _target(place: StorePlace, store: Store, checkpoint: Callable[[], None]) -> ObjectTarget:
    try:
        if store.scheme == "azure":
            from b2jobs_worker.sources.azure_target import AzureTarget

            return AzureTarget(place, store, checkpoint)
        from b2jobs_worker.sources.s3_target import S3Target

        return S3Target(place, store, checkpoint)
    except ImportError as error:
        raise _extra_missing(place) from error


def look(place: StorePlace, settings: Settings) -> Stored | None:
    """What its store says of one object, which need not be writable; None where there is none."""
    return _target(place, _store(place, settings), lambda: None).look()


def writable_store(place: StorePlace, settings: Settings) -> Store:
    """The store of *place*, if it may be written there.

    Raises:
        CallerError: `root_read_only`, `store_read_only`.
        OperatorError: `store_credentials_missing`.
    """
    store = _store(place, settings)
    if store.writable:
        return store
    if place.root:
        raise root_read_only(place.root)
    name = f"{place.target.scheme}://{place.target.bucket}"
    raise CallerError(
        "store_read_only",
        f"The store {name} is read only.",
        hint='Choose another destination, or set "access": "read-write" in its entry under '
        '"stores" in the secrets file.',
    )


def list_objects(
    place: StorePlace, settings: Settings, report: Callable[[Problem], None], after: str
) -> Iterator[Entry]:
    """Every object below a prefix, by name relative to it; raises what `open_object` raises."""
    store = _store(place, settings)
    try:
        if store.scheme == "azure":
            from b2jobs_worker.sources.azure import list_azure

            found = list_azure(place, store, report, after)
        else:
            from b2jobs_worker.sources.s3 import list_s3

            found = list_s3(place, store, report, after)
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


def _store(place: StorePlace, settings: Settings) -> Store:
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
    credentials = {key: value.get_secret_value() for key, value in found.items()}
    may_write = credentials.pop("access", "read") == "read-write"
    bucket = target.bucket.rpartition("@")[2]
    return Store(
        target.scheme,
        bucket,
        credentials,
        _bundle(settings.ca_file),
        place.writable if place.root else may_write,
    )


@cache
def _bundle(ca_file: Path | None) -> str | None:
    """A file with the system's certificates and those of *ca_file*.

    The libraries of the stores take one file in place of the system's. It lies in memory where
    there is such a thing, so that nothing stays on a disk.
    """
    if ca_file is None:
        return None
    system = ssl.create_default_context()
    try:
        system.load_verify_locations(ca_file)
        own = ca_file.read_text()
    except (OSError, ValueError) as error:
        raise failures.no_certificates(ca_file, error) from error
    if not hasattr(os, "memfd_create"):
        return str(ca_file)
    theirs = map(ssl.DER_cert_to_PEM_cert, system.get_ca_certs(binary_form=True))
    descriptor = os.memfd_create("b2jobs-certificates")
    with os.fdopen(descriptor, "w", closefd=False) as file:
        file.write("\n".join([*theirs, own]))
    return f"/proc/self/fd/{descriptor}"


def _extra_missing(place: StorePlace) -> OperatorError:
    return OperatorError(
        "store_extra_missing",
        f"This worker cannot read {place.target.scheme}:// locations.",
        hint="Install it with the extra: pip install 'b2jobs[worker,stores]'.",
    )
