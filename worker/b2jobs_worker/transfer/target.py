"""The file an upload or a copy makes, and what `if_exists` says about one that is there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from b2jobs.errors import CallerError
from b2jobs.metadata import LARGE_FILE_SHA1
from b2jobs.requests import IfExists
from b2jobs.requests.job import Listed
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.protection import NOTHING, Protection
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.port import Source
from b2jobs_worker.transfer.checkpoint import Checkpoint
from b2jobs_worker.transfer.committed import (
    MOST_ENTRIES,
    STRICT_BYTES,
    Committed,
    Content,
    header_bytes,
    require_replaceable,
)

_CHUNK_BYTES = 1024 * 1024
SHOWN_SECONDS = 15 * 60.0
"""How old what a listing has shown may be: a batch may have waited since."""
_CLOCKS_APART_SECONDS = 60.0


@dataclass(frozen=True)
class NewFile:
    """What a version is to be; *info* carries the job's mark if it has room for it."""

    bucket: BucketName
    name: str
    content_type: str
    info: Mapping[str, str]
    committed: Committed
    protection: Protection = NOTHING

    def __post_init__(self) -> None:
        """Refuse what B2 would refuse, before anything is sent."""
        if not self.protection:
            return
        used = header_bytes(self.name, self.info)
        if used > STRICT_BYTES:
            raise CallerError(
                "info_too_large",
                f"The name and the info of {self.name} take {used} bytes; {STRICT_BYTES} are "
                "allowed with encryption, retention or a hold.",
                hint="Give it less info, or a shorter name.",
            )

    def with_digest(self, sha1: str) -> NewFile:
        """The same, its content's SHA-1 in its info where there is room for it."""
        info = self.committed.marked({**self.info, LARGE_FILE_SHA1: sha1})
        crowded = self.protection and header_bytes(self.name, info) > STRICT_BYTES
        return self if crowded or len(info) > MOST_ENTRIES else replace(self, info=info)


@dataclass(frozen=True)
class Standing:
    """What is there before anything is sent.

    *ours*: an earlier attempt's version, the job is done. *same*: the same bytes by
    somebody else, nothing is to be sent. *sha1*: the source's digest, when it had to be read.
    """

    ours: FileVersion | None = None
    same: FileVersion | None = None
    sha1: str | None = None


_NOTHING = Standing()


def capabilities_for(if_exists: IfExists) -> tuple[str, ...]:
    """What a key needs beside writeFiles."""
    return {
        "version": (),
        "skip": ("readFiles",),
        "fail": ("readFiles",),
        "replace": ("listFiles", "deleteFiles"),
    }[if_exists]


def look(
    client: B2Client,
    attempt: Attempt,
    new: NewFile,
    if_exists: IfExists,
    *,
    size: int | None,
    sha1: Callable[[], str | None],
    left: Checkpoint | None,
    listed: Listed | None = None,
) -> Standing:
    """Decide by what is there. *sha1* reads the source; it is called where there is something
    to compare it with.

    *left* is the large transfer an earlier attempt has begun. While it was never told to
    finish, nothing can have been committed and no call is spent on looking. *listed* is what a
    batch has seen: a file that is left alone for it costs no call.

    Raises:
        CallerError: `file_exists`, with if_exists="fail".
        OperatorError: `file_locked`, with if_exists="replace".
    """
    if attempt.number > 1 and (left is None or left.is_finishing):
        content = Content(size, sha1)
        ours = new.committed.find(content, keep=left.file.file_id if left else None)
        if ours is not None:
            return Standing(ours=ours, sha1=content.sha1)
    if if_exists == "replace" and left is None:
        require_replaceable(client, new.bucket, new.name)
    if if_exists not in ("skip", "fail"):
        return _NOTHING
    own_sha1 = cache(sha1)
    seen = shown(listed, new.name)
    if seen is not None:
        standing = _beside(seen, new, if_exists, size, own_sha1)
        if standing.same is not None:
            return standing
    there = client.latest(new.bucket, new.name)
    if there is None:
        return Standing()
    if new.committed.is_ours(there) and Content(size).agrees(there):
        return Standing(ours=there)
    return _beside(there, new, if_exists, size, own_sha1)


def _beside(
    there: FileVersion,
    new: NewFile,
    if_exists: IfExists,
    size: int | None,
    sha1: Callable[[], str | None],
) -> Standing:
    """Decide by somebody else's version."""
    if if_exists == "fail":
        raise CallerError(
            "file_exists",
            f"b2://{new.bucket.name}/{new.name} exists already.",
            hint="Choose another name, or another if_exists.",
        )
    if there.sha1 is None or (size is not None and there.size != size):
        return Standing()
    own = sha1()
    return Standing(same=there if own == there.sha1 else None, sha1=own)


def shown(listed: Listed | None, name: str) -> FileVersion | None:
    """The version that a batch's listing has shown; None where that is too long ago.

    What it shows may end an item, since that was so while the batch ran. Whoever is going to
    send or write something asks B2 again.
    """
    if listed is None:
        return None
    file_id, size, sha1, seen = listed
    if not -_CLOCKS_APART_SECONDS < time.time() - seen < SHOWN_SECONDS:
        return None
    return FileVersion(file_id, name, size=size, content_sha1=sha1)


def read_digest(source: Source, attempt: Attempt) -> str:
    """SHA-1 of *source*, by reading it."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    done = 0
    with source.open() as stream, attempt.on_interrupt(stream.close):
        while chunk := stream.read(_CHUNK_BYTES):
            attempt.checkpoint()
            sha1.update(chunk)
            done += len(chunk)
            attempt.progress("hashing", done, source.size)
    return sha1.hexdigest()
