"""Blobs of Azure as targets of downloads, through azure-storage-blob.

Blocks of a blob that are never committed cannot be removed by themselves: Azure drops them
after a week, or when another write of that blob succeeds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobBlock, ContentSettings

from b2jobs.errors import CallerError, JobError
from b2jobs_worker.sources import destination_failures as wrong
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.azure import container, identity_of
from b2jobs_worker.sources.azure_failures import blob_error
from b2jobs_worker.sources.roots import Store, StorePlace
from b2jobs_worker.sources.target import (
    MARK,
    NewObject,
    Piece,
    Spoken,
    Stored,
    md5,
    rfc3339,
    said_modified,
    said_sha1,
    spoken,
)

_Answer = TypeVar("_Answer")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LOST = {"InvalidBlockList", "InvalidBlockId", "InvalidBlobOrBlock"}


class AzureTarget:
    """See `ObjectTarget`. Every write carries its MD5, which the store compares."""

    least_part_bytes = 1
    most_parts = 50_000
    most_bytes = 50_000 * 4000 * 1024**2

    def __init__(self, place: StorePlace, store: Store, checkpoint: Callable[[], None]) -> None:
        self.uri = place.uri
        self._bucket = store.bucket
        self._blob: Any = container(store).get_blob_client(place.target.key)
        self._checkpoint = checkpoint

    def look(self) -> Stored | None:
        try:
            found = self._asked(self._blob.get_blob_properties)
        except CallerError as error:
            if error.code == "destination_missing":
                return None
            raise
        entries = {name.lower(): text for name, text in (found.metadata or {}).items()}
        digest = found.content_settings.content_md5
        return Stored(
            identity_of(found),
            found.size,
            said_modified(entries),
            said_sha1(entries),
            entries.get(MARK, ""),
            bytes(digest).hex() if digest else "",
        )

    def put(self, content: memoryview, new: NewObject, only: str | None) -> None:
        self._asked(
            lambda: self._blob.upload_blob(
                Piece(content, self._checkpoint),
                length=len(content),
                validate_content=True,
                **self._said(new, md5(content)),
                **({"overwrite": False} if only == "" else {"overwrite": True, **_only(only)}),
            )
        )

    def begin(self, new: NewObject) -> str:
        """Nothing to ask for: the blocks' names tell this upload from others."""
        return hashlib.sha1(new.mark.encode(), usedforsecurity=False).hexdigest()[:16]

    def put_part(self, upload: str, number: int, content: memoryview) -> str:
        name = f"b2jobs-{upload}-{number:05}"
        self._asked(
            lambda: self._blob.stage_block(
                name, Piece(content, self._checkpoint), length=len(content), validate_content=True
            )
        )
        return name

    def finish(self, upload: str, parts: list[str], new: NewObject, only: str | None) -> str:
        del upload
        blocks = [BlobBlock(name) for name in parts]
        self._asked(
            lambda: self._blob.commit_block_list(blocks, **self._said(new, None), **_only(only))
        )
        return ""

    def abort(self, upload: str) -> None:
        """Nothing that could be asked for; see the module."""

    def abort_begun(self, since: float) -> None:
        """Nothing that could be asked for; see the module."""

    def remove(self, identity: str) -> bool:
        if self.look() is None:
            return False  # with a condition, a blob that is gone looks like another one
        self._asked(lambda: self._blob.delete_blob(**_only(identity)))
        return True

    def not_carried(self, new: NewObject) -> list[str]:
        return list(self._spoken(new).lost)

    def _spoken(self, new: NewObject) -> Spoken:
        mtime = rfc3339(new.modified_millis or 0)
        return spoken(new, name=_NAME, most_bytes=8000, expires=False, mtime=mtime)

    def _said(self, new: NewObject, digest: bytes | None) -> dict[str, Any]:
        said = self._spoken(new)
        return {
            "content_settings": ContentSettings(
                content_type=new.content_type,
                content_md5=None if digest is None else bytearray(digest),
                **said.headers,
            ),
            "metadata": dict(said.entries),
        }

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        try:
            return ask()
        except (AzureError, OSError, ValueError) as error:
            self._checkpoint()
            problem = self._wrong(error)
        raise problem  # outside of the clause, so that Azure's error is not its context

    def _wrong(self, error: Exception) -> JobError:
        code = getattr(error, "error_code", None)
        code = str(getattr(code, "value", code))
        if code in _LOST:
            return wrong.upload_gone(self.uri)
        if code == "Md5Mismatch":
            return wrong.damaged(self.uri)
        if code == "BlobAlreadyExists":
            return failures.destination_changed(self.uri)
        return wrong.writing(blob_error(error, self.uri, self._bucket), self.uri)


def _only(only: str | None) -> dict[str, Any]:
    if only is None:
        return {}
    if only == "":
        return {"match_condition": MatchConditions.IfMissing}
    etag = only.rpartition(" ")[0]
    return {"match_condition": MatchConditions.IfNotModified, "etag": f'"{etag}"'}
