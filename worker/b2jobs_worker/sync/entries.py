"""One file of one side of a sync, as its listing describes it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Version(NamedTuple):
    """One version of a file in B2. A hide marker is a version with `is_hide`."""

    file_id: str
    uploaded_millis: int
    is_hide: bool = False


class Trouble(NamedTuple):
    """Why a listing cannot use a name.

    hides_folder: there may be a folder behind the name whose files nobody sees.
    is_excluded: a pattern takes the name out. It is not reported; what it may hide is left
        alone all the same.
    """

    message: str
    hides_folder: bool = True
    is_excluded: bool = False


class Entry(NamedTuple):
    """A file below the side's folder; `name` is relative to it, with `/` between parts.

    modified_millis: what the uploader said, else when it was uploaded.
    has_modified: False where only the time of the upload is known.
    sha1: of the content, where the listing tells it.
    identity: of a local file, differs when its content may differ.
    versions: the newest first, only where old versions were listed.
    is_visible: False when the newest version is a hide marker.
    metadata: content type and file info, only where a copy must add the time.
    trouble: why the listing cannot use the name; such an entry is only reported.
    has_customer_key: encrypted with a customer's key (SSE-C).
    """

    name: str
    size: int = 0
    modified_millis: int = 0
    sha1: str | None = None
    file_id: str = ""
    identity: str = ""
    versions: tuple[Version, ...] = ()
    is_visible: bool = True
    has_modified: bool = True
    metadata: tuple[Any, ...] = ()
    trouble: Trouble | None = None
    has_customer_key: bool = False
