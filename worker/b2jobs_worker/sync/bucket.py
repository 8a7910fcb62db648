"""A prefix of a bucket as one side of a sync."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from b2jobs.locations import B2File
from b2jobs.metadata import LARGE_FILE_SHA1, MODIFIED_MILLIS, modified_millis, sha1_hex
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.pages import name_pages, version_pages
from b2jobs_worker.b2.protection import SSE_C
from b2jobs_worker.sync.entries import Entry, Version

_NO_INFO: Mapping[str, str] = {}


def listed(client: B2Client, folder: B2File, *, versions: bool, after: str = "") -> Iterator[Entry]:
    """The files below *folder* in order of their names, those behind the name *after*.

    With *versions* each has its older versions and hide markers too, and hidden files are
    there; unfinished large files never are. Empty files whose names end in `/` are passed
    over, as other tools' placeholders for folders, and so is the folder's own.
    """
    bucket = client.bucket(folder.bucket)
    start = folder.name + after if after else ""
    if versions:
        found = _with_versions(version_pages(client, bucket, folder.name, start), len(folder.name))
    else:
        cut = len(folder.name)
        found = (
            _entry(document, cut)
            for page in name_pages(client, bucket, folder.name, start)
            for document in page
            if document["action"] == "upload" and not _is_placeholder(document, cut)
        )
    return (entry for entry in found if entry.name > after) if after else found


def _with_versions(pages: Iterator[list[dict[str, Any]]], cut: int) -> Iterator[Entry]:
    whole = (each for page in pages for each in page if each["action"] in ("upload", "hide"))
    for _, found in groupby(whole, itemgetter("fileName")):
        documents = list(found)
        if not all(_is_placeholder(document, cut) for document in documents):
            yield _together(documents, cut)


def _is_placeholder(document: dict[str, Any], cut: int) -> bool:
    name = document["fileName"]
    return len(name) == cut or (name[-1] == "/" and not document.get("contentLength"))


def _together(documents: list[dict[str, Any]], cut: int) -> Entry:
    return _entry(documents[0], cut)._replace(
        versions=tuple(
            Version(each["fileId"], each["uploadTimestamp"], each["action"] == "hide")
            for each in documents
        ),
        is_visible=documents[0]["action"] == "upload",
    )


def _entry(document: dict[str, Any], cut: int) -> Entry:
    # The hot path of every listing: one lookup each, and a tuple made by position.
    info = document.get("fileInfo") or _NO_INFO
    sha1 = document.get("contentSha1")
    if sha1 is not None and len(sha1) == 40:
        sha1 = sha1.lower()
    else:
        sha1 = sha1_hex(sha1) or sha1_hex(info.get(LARGE_FILE_SHA1))
    modified, said = _modified(document, info)
    metadata = () if said else (document.get("contentType"), info)
    size = document.get("contentLength") or 0
    name = document["fileName"][cut:]
    encryption = document.get("serverSideEncryption")
    has_key = encryption is not None and encryption.get("mode") == SSE_C
    made = (name, size, modified, sha1, document["fileId"], "", (), True, said, metadata, None)
    return Entry(*made, has_key)


def _modified(document: dict[str, Any], info: Mapping[str, str]) -> tuple[int, bool]:
    """When the file was modified, and whether the uploader said so."""
    millis = modified_millis(info.get(MODIFIED_MILLIS))
    return (document["uploadTimestamp"], False) if millis is None else (millis, True)
