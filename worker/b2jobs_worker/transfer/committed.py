"""What tries and attempts of a job have left in B2: a version of its own, or strays.

B2 has no "put if absent". A job marks what it makes, and whoever does not know whether
something was made looks for the mark before it makes anything more: after an answer that
was lost or came late, and in every attempt after the first.

The mark is an entry of the file's info: the job's id and a code that takes the account's
key to make, so nobody who can only write to the bucket can pass a file off as the job's.
Where the ten entries B2 allows are full, or their bytes, a version is known by being newer
than what was there before the first try, and the same in info and content.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable, Iterator, Mapping

from b2jobs.errors import CallerError
from b2jobs.metadata import LARGE_FILE_SHA1
from b2jobs_worker.attempt import Attempt, Interrupted
from b2jobs_worker.b2 import errors
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import JOB_TAG, FileVersion, quoted

MOST_ENTRIES = 10
"""What B2 takes as file info."""

STRICT_BYTES = 2048
"""What B2 takes as name and info of a file that is encrypted, or in a bucket with a lock; of
others it takes 7,000."""

_BEFORE = "before"
_MOST_QUOTED = 12
"""Bytes that one character takes where it is quoted, four bytes as `%F0` each."""
_HEADERS_BYTES = MOST_ENTRIES * len("x-bz-info-") + len(JOB_TAG)


class Content:
    """What a version must have to be the job's; None is not known.

    A digest that has to be read from the source is asked for once, and only when there is
    a version of the right size to compare it with.
    """

    def __init__(
        self, size: int | None = None, sha1: str | Callable[[], str | None] | None = None
    ) -> None:
        self._size = size
        self._ask = sha1 if callable(sha1) else None
        self.sha1 = None if callable(sha1) else sha1

    def agrees(self, version: FileVersion) -> bool:
        if self._size is not None and version.size != self._size:
            return False
        if version.sha1 is None:
            return True
        ask, self._ask = self._ask, None
        if ask is not None:
            # A source that is gone cannot be sent again: then the mark alone counts.
            with contextlib.suppress(CallerError):
                self.sha1 = ask()
        return self.sha1 in (None, version.sha1)


def mark(client: B2Client, attempt: Attempt, *place: str) -> str:
    """What tells that *attempt*'s job made what is at *place*: its id, and a code to prove it."""
    key = client.account().credential.application_key.get_secret_value()
    about = "\n".join((attempt.job_id, *place))
    code = hmac.digest(key.encode(), about.encode(), "sha256").hex()[:24]
    return f"{attempt.job_id}.{code}"


class Committed:
    """How one job knows what it has made under one name."""

    def __init__(self, client: B2Client, attempt: Attempt, bucket: BucketName, name: str) -> None:
        self._client = client
        self._attempt = attempt
        self._bucket = bucket
        self._name = name
        self._info: Mapping[str, str] | None = None

    def marked(self, info: Mapping[str, str]) -> dict[str, str]:
        """*info* of a version to be made, with the mark where it has room for one."""
        info = {name: text for name, text in info.items() if name != JOB_TAG}
        own = self._mark()
        if not self._is_crowded(info, own):
            return {**info, JOB_TAG: own}
        self._info = _without_own(info)
        return info

    def before_first_try(self) -> None:
        """Note what is there, where versions cannot be marked. Called again it does nothing."""
        journal = self._attempt.journal
        if self._info is None or not self._may_list or _BEFORE in journal.load():
            return
        newest = max((each.uploaded_millis for each in self._versions()), default=0)
        journal.record({_BEFORE: str(newest)})

    def is_ours(self, version: FileVersion) -> bool:
        """Whether *version* bears the job's mark."""
        return hmac.compare_digest(version.mark.encode(), self._mark().encode())

    def find(self, content: Content, *, keep: str | None = None) -> FileVersion | None:
        """The version with *content* that the job has committed; its strays are removed.

        Strays are unfinished large files of the job, except *keep*, further versions, and
        versions of other content. One class C call; with a key that may not list, one class
        B that sees the newest version only and no strays. The lease is looked at before
        anything is removed: an outdated owner would remove what the new one has just made.
        """
        if not self._may_list:
            return self._latest(content)
        since = self._since()
        found: FileVersion | None = None
        for version in self._versions():
            if version.action == "start":
                if version.file_id != keep and self._is_from_job(version):
                    self._attempt.guard()
                    self._client.cancel_large_file(version.file_id)
                continue
            agrees = content.agrees(version)
            like_ours = agrees and self._is_like_ours(version, since)
            if version.action != "upload" or not (like_ours or self.is_ours(version)):
                continue
            if found is None and agrees:
                found = version
            else:
                self._remove(version)
        return found

    def find_unfinished(self) -> str | None:
        """The id of a large file the job has started; all but the newest are removed."""
        if not self._may_list:
            return None
        found: str | None = None
        for version in self._versions():
            if version.action != "start" or not self._is_from_job(version):
                continue
            if found is None:
                found = version.file_id
            else:
                self._attempt.guard()
                self._client.cancel_large_file(version.file_id)
        return found

    def has_begun(self, file_id: str) -> bool:
        """Whether this large file is the job's: of its name, in its bucket, with its mark.

        What a journal says is not believed, since others can write to Redis. A key that may
        neither read nor list cannot ask: then it is.
        """
        if self._client.may("readFiles"):
            try:
                version = self._client.version(file_id)
            except CallerError:
                return False
        elif self._may_list:
            version = next((each for each in self._versions() if each.file_id == file_id), None)
        else:
            return True
        if version is None or version.bucket_id != self._bucket.bucket_id:
            return False
        unmarked = not version.mark and self._is_crowded(version.info, self._mark())
        return version.name == self._name and (self.is_ours(version) or unmarked)

    @property
    def _may_list(self) -> bool:
        return "listFiles" in self._client.account().capabilities

    def _versions(self) -> Iterator[FileVersion]:
        return self._client.versions_of(self._bucket, self._name)

    def _latest(self, content: Content) -> FileVersion | None:
        if "readFiles" not in self._client.account().capabilities:
            return None
        latest = self._client.latest(self._bucket, self._name)
        ours = latest is not None and self.is_ours(latest) and content.agrees(latest)
        return latest if ours else None

    def _remove(self, version: FileVersion) -> None:
        if "deleteFiles" in self._client.account().capabilities:
            self._attempt.guard()
            self._client.delete_version(version.file_id, self._name)

    def _is_crowded(self, info: Mapping[str, str], own: str) -> bool:
        """Whether *info* leaves no room for the mark, which is *own*."""
        characters = len(self._name) + len(own) + sum(map(len, (*info, *info.values())))
        if len(info) < MOST_ENTRIES and _MOST_QUOTED * characters < STRICT_BYTES - _HEADERS_BYTES:
            return False  # as it is for most: nothing has to be counted exactly
        marked = {**info, JOB_TAG: own}
        return len(marked) > MOST_ENTRIES or (
            header_bytes(self._name, marked) > STRICT_BYTES
            and header_bytes(self._name, info) <= STRICT_BYTES
        )

    def _mark(self) -> str:
        return mark(self._client, self._attempt, self._bucket.bucket_id, self._name)

    def _is_from_job(self, version: FileVersion) -> bool:
        """Whether an unfinished file says it is the job's: nothing is taken from it."""
        return version.job == self._attempt.job_id or (
            self._info is not None and self._is_like_ours(version, self._since())
        )

    def _since(self) -> int | None:
        text = self._attempt.journal.load().get(_BEFORE) if self._info is not None else None
        return int(text) if text else None

    def _is_like_ours(self, version: FileVersion, since: int | None) -> bool:
        return (
            since is not None
            and version.uploaded_millis > since
            and _without_own(version.info) == self._info
        )


def header_bytes(name: str, info: Mapping[str, str]) -> int:
    """What the headers for *name* and *info* take, as B2 counts them."""
    entries = sum(len("x-bz-info-") + len(key) + len(quoted(text)) for key, text in info.items())
    return len(quoted(name)) + entries


def _without_own(info: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in info.items() if name not in (JOB_TAG, LARGE_FILE_SHA1)}


def require_replaceable(client: B2Client, bucket: BucketName, name: str) -> None:
    """Refuse before anything is sent what `remove_older` could not finish.

    Raises:
        OperatorError: `file_locked`, as far as the account's key may know of locks.
    """
    for version in client.versions_of(bucket, name):
        if version.is_locked:
            raise errors.file_locked(version)


def remove_older(
    client: B2Client, attempt: Attempt, bucket: BucketName, version: FileVersion
) -> None:
    """Remove the versions of the same name that are older than *version*.

    An owner that turns out to be outdated removes nothing, and does not raise: what it has
    made must reach the end of its attempt, where it is removed.
    """
    try:
        others = list(client.versions_of(bucket, version.name))
        attempt.guard()
        for other in others:
            if other.file_id == version.file_id or other.uploaded_millis > version.uploaded_millis:
                continue
            if other.action != "start":
                client.delete_version(other.file_id, version.name)
    except Interrupted as interrupted:
        if interrupted.reason != "lease_lost":
            raise
