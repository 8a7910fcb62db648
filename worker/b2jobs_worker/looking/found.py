"""What a listing finds: B2's documents of one prefix or name, and the line of each."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

from b2jobs.locations import B2File
from b2jobs.metadata import MODIFIED_MILLIS, modified_millis
from b2jobs.patterns import chosen, silenced
from b2jobs.requests.choosing import Choosing
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.pages import PAGE, Documents, Position, listed_pages
from b2jobs_worker.b2.versions import from_json
from b2jobs_worker.sources.limits import Limits

TYPES = {"upload": "file", "hide": "hide_marker", "start": "unfinished", "folder": "folder"}
"""What stands in a listing, by B2's word for it."""


def pages_of(
    client: B2Client,
    bucket: BucketName,
    target: B2File,
    start: Position,
    *,
    versions: bool,
    delimiter: str | None = None,
    count: int = PAGE,
) -> Generator[tuple[Documents, Position | None], None, None]:
    """Pages of what is below *target*, or of its one name, and where the next begins."""
    if start == (None, None) and not target.is_prefix:
        start = (target.name, None)
    pages = listed_pages(
        client, bucket, target.name, start, versions=versions, delimiter=delimiter, count=count
    )
    for documents, following in pages:
        if target.is_prefix:
            yield documents, following
            continue
        own = [each for each in documents if each["fileName"] == target.name]
        goes_on = following is not None and following[0] == target.name
        yield own, following if goes_on else None
        if not goes_on:
            return


class Choice:
    """Which documents take part."""

    def __init__(self, request: Choosing, target: B2File, now_millis: int) -> None:
        self._cut = len(target.name) if target.is_prefix else target.name.rfind("/") + 1
        self._is_chosen = chosen(request.include, request.exclude)
        self._is_silenced = silenced(request.include, request.exclude)
        self._limits = Limits.of(request, now_millis) if request.has_limits else None

    def takes(self, document: dict[str, Any]) -> bool:
        """A folder takes part unless a pattern takes all that is in it."""
        name = document["fileName"][self._cut :]
        if document["action"] == "folder":
            return not self._is_silenced(name)
        if not self._is_chosen(name):
            return False
        size = int(document.get("contentLength") or 0)
        return self._limits is None or self._limits.allow(size, changed_millis(document))


def changed_millis(document: dict[str, Any]) -> int:
    """When the file was modified, as its uploader said, else when it was uploaded."""
    said = modified_millis((document.get("fileInfo") or {}).get(MODIFIED_MILLIS))
    return int(document.get("uploadTimestamp") or 0) if said is None else said


def line_of(document: dict[str, Any], *, latest: bool | None) -> dict[str, Any]:
    """The line of one document; *latest* only where versions are listed."""
    line: dict[str, Any] = {"name": document["fileName"], "type": TYPES[document["action"]]}
    if document["action"] == "folder":
        return line
    version = from_json(document)
    line |= {
        "size": version.size,
        "uploaded": _moment(version.uploaded_millis),
        "modified": _moment(changed_millis(document)),
        "file_id": version.file_id,
    }
    if latest is not None:
        line["latest"] = latest
    if document["action"] != "hide":
        line["content_type"] = version.content_type
        line["sha1"] = version.sha1
    return line


def _moment(millis: int) -> str:
    """RFC 3339, to the millisecond; empty for what no calendar has."""
    try:
        moment = datetime.fromtimestamp(millis / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
