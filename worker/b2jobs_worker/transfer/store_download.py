"""A download into an object of another store: parts fetched and written in parallel.

Every part lies in memory while it is fetched, taken into the digest in its turn, and sent. The
journal knows how far the parts reach without a gap, what the store calls them, and the state
of the digest there; an attempt that goes on fetches and sends what is behind that once more.
Nothing takes the object's place before the digest of all of it was compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from typing import TypeVar

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs.locations import B2File
from b2jobs.requests import Download
from b2jobs_worker.attempt import Attempt, Interrupted, Uninterrupted
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.downloads import Arriving
from b2jobs_worker.b2.errors import file_not_found
from b2jobs_worker.b2.versions import JOB_TAG, FileVersion
from b2jobs_worker.sources import destination_failures
from b2jobs_worker.sources.failures import destination_changed
from b2jobs_worker.sources.target import NewObject, ObjectTarget, Stored
from b2jobs_worker.transfer import checkpoint, digest
from b2jobs_worker.transfer.checkpoint import Checkpoint, LargeFile
from b2jobs_worker.transfer.committed import mark
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.download_large import Received
from b2jobs_worker.transfer.ranges import Window, cut_short, mismatch, opened
from b2jobs_worker.transfer.store_parts import StoreParts, tried_again
from b2jobs_worker.transfer.target import shown

PART_BYTES = 16 * 1024 * 1024
ONE_PUT_BYTES = 8 * 1024 * 1024
"""Up to this size an object is written by one request."""

T = TypeVar("T")

_ROUND_BYTES = 1024 * 1024
_MOST_VERSIONS = 4
_SINCE = "since"


class StoreDownload:
    """One file's way into an object. The object is whole and checked when `run` returns."""

    def __init__(
        self,
        client: B2Client,
        attempt: Attempt,
        context: Context,
        target: ObjectTarget,
        request: Download,
    ) -> None:
        self.not_carried: list[str] = []
        self._client = client
        self._attempt = attempt
        self._context = context
        self._target = target
        self._request = request
        self._window = Window(*(request.byte_range() or (0, None)))
        chosen = context.settings.part_size_bytes or PART_BYTES
        self._part_bytes = max(chosen, target.least_part_bytes)
        self._left = checkpoint.load(attempt.journal) if attempt.number > 1 else None
        self._pinned = False
        self._known: FileVersion | None = None

    def run(self, url: str) -> Received:
        """Fetch the file behind *url* into the object, or find that it is there.

        Raises:
            CallerError: `destination_exists`, `destination_changed`, `destination_too_large`.
            JobError: whatever B2 and the store say. Without a `wait` nothing unfinished stays.
            Interrupted: with `keep` false nothing unfinished stays either.
        """
        standing = self._standing(url)
        if standing is not None:
            return standing
        try:
            return self._pinned_fetch(url)
        except Interrupted as error:
            if not error.keep:
                self._drop(error)
            raise
        except JobError as error:
            if error.code == "destination_upload_gone":
                self._anew()
            elif error.wait is None:
                self._drop(error)
            raise

    # -- what is there --------------------------------------------------------------------

    def _standing(self, url: str) -> Received | None:
        """What is there already, when that ends the job."""
        request, is_first = self._request, self._attempt.number == 1
        may_be_done = not is_first and (self._left is None or self._left.is_finishing)
        asks = request.replaces is not None or request.if_exists != "replace"
        there = self._target.look() if asks or may_be_done else None
        if there is None:
            if request.replaces:
                raise destination_changed(self._target.uri)
            return None
        if not is_first:
            version = self._version(url)
            if there.mark == self._mark(version):
                sha1 = there.sha1 or version.sha1
                verified = sha1 is not None and self._window.is_everything
                return Received(version, sha1, there.size, verified=verified)
        if request.replaces is not None:
            if there.identity == request.replaces:
                return None
            same = self._same(there, url)
            if same is None:
                raise destination_changed(self._target.uri)
            return same
        if request.if_exists == "fail":
            raise self._exists()
        if request.if_exists != "skip":
            return None
        location = request.source_location
        seen = shown(request.listed, location.name if isinstance(location, B2File) else "")
        as_seen = None if seen is None else self._same_as(there, seen)
        return as_seen or self._same(there, url)

    def _same(self, there: Stored, url: str) -> Received | None:
        return self._same_as(there, self._version(url))

    def _same_as(self, there: Stored, version: FileVersion) -> Received | None:
        """What is there, where it has *version*'s bytes; read, if it does not say its SHA-1."""
        if not self._window.is_everything or version.sha1 is None or there.size != version.size:
            return None
        sha1 = there.sha1 or self._read_sha1()
        if sha1 != version.sha1:
            return None
        return Received(version, sha1, there.size, verified=True, is_unchanged=True)

    def _read_sha1(self) -> str:
        sha1 = hashlib.sha1(usedforsecurity=False)
        with (
            self._context.source(self._request.destination_location, self._attempt) as source,
            source.open() as stream,
            self._attempt.on_interrupt(stream.close),
        ):
            while chunk := stream.read(1024 * 1024):
                self._attempt.checkpoint()
                sha1.update(chunk)
        return sha1.hexdigest()

    def _version(self, url: str) -> FileVersion:
        with opened(self._client, url, self._window.first, self._window.first) as arriving:
            return arriving.version

    def _only(self) -> str | None:
        """What may be replaced: see `ObjectTarget`."""
        if self._request.replaces is not None:
            return self._request.replaces
        return "" if self._request.if_exists == "fail" else None

    def _exists(self) -> CallerError:
        return CallerError(
            "destination_exists",
            f"{self._target.uri} exists already.",
            hint="Choose another destination, or another if_exists.",
        )

    # -- moving ---------------------------------------------------------------------------

    def _pinned_fetch(self, url: str) -> Received:
        """Fetch the version that answers first; one that goes away is no reason to fail."""
        if self._left is not None and self._left.file.name != self._target.uri:
            self._anew()
        for tries in range(1, _MOST_VERSIONS + 1):
            left = self._left
            self._pinned = left is not None
            try:
                return self._fetch(url if left is None else self._by_id(left.file.identity), left)
            except CallerError as error:
                if error.code == "destination_changed" and self._request.replaces is None:
                    raise self._exists() from error
                if error.code != "file_not_found" or not self._pinned:
                    raise
                if tries == _MOST_VERSIONS:
                    raise PassingError(
                        "source_changed",
                        f"The file was replaced {_MOST_VERSIONS} times while it was fetched.",
                    ) from error
            self._drop(None)
        raise AssertionError("unreachable")

    def _fetch(self, url: str, left: Checkpoint | None) -> Received:
        tokens, known = _resumed(left)
        skip = min(len(tokens) * left.file.part_bytes, left.file.size or 0) if left else 0
        if left is not None and skip == left.file.size:
            version = self._client.version(left.file.identity)
            if version is None:
                raise file_not_found(left.file.identity)
            return self._finish(version, left.file, tokens, known.hexdigest(), skip)
        first = self._window.first + skip
        last = first + self._part_bytes - 1
        if self._window.last is not None:
            last = min(last, self._window.last)
        with contextlib.ExitStack() as stack:
            arriving = stack.enter_context(opened(self._client, url, first, last))
            version = arriving.version
            self._pinned = True
            length = self._window.length(version.size)
            self._attempt.permit.size(length)
            if left is None and length <= ONE_PUT_BYTES:
                return self._put(arriving, version, length)
            file = left.file if left is not None else self._begin(version, length)
            parts = StoreParts(
                self._client,
                self._attempt,
                self._context,
                self._target,
                file,
                self._window.first,
                tokens,
                known,
            )
            parts.send(arriving, stack.pop_all())
        return self._finish(version, file, parts.tokens, parts.sha1, skip)

    def _put(self, arriving: Arriving, version: FileVersion, length: int) -> Received:
        with self._context.buffers.hold(length, self._attempt.checkpoint) as content:
            got = 0
            while got < length:
                self._attempt.checkpoint()
                count = arriving.readinto(content[got:])
                if not count:
                    raise cut_short()
                got += count
                self._attempt.progress("receiving", got, length)
            sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            verified = self._check(version, sha1, length)
            new = self._new(version, sha1 if self._window.is_everything else None)
            self._attempt.guard()
            self._commit(lambda: self._target.put(content, new, self._only()), new)
        return Received(version, sha1, length, verified=verified)

    def _begin(self, version: FileVersion, length: int) -> LargeFile:
        uri, most = self._target.uri, self._target.most_bytes
        if length > most:
            raise destination_failures.too_large(uri, length, most)
        needed = -(-length // self._target.most_parts)
        part_bytes = max(self._part_bytes, -(-needed // _ROUND_BYTES) * _ROUND_BYTES)
        file = LargeFile("", "", uri, version.file_id, length, part_bytes)
        if self._attempt.number > 1:
            discard(self._target, self._attempt)  # what was begun without an answer
        self._attempt.journal.record({**checkpoint.beginning(), _SINCE: str(int(time.time()))})
        sha1 = version.sha1 if self._window.is_everything else None
        new = self._new(version, sha1)
        file = file.started(tried_again(lambda: self._target.begin(new), self._client))
        self._left = Checkpoint(file)
        self._attempt.journal.record(checkpoint.begun(file))
        return file

    def _finish(
        self, version: FileVersion, file: LargeFile, tokens: dict[int, str], sha1: str, skip: int
    ) -> Received:
        length = file.size or 0
        self._attempt.progress("verifying", length, length)
        verified = self._check(version, sha1, length)
        new = self._new(version, sha1 if self._window.is_everything else None)
        parts = [tokens[number] for number in sorted(tokens)]
        self._attempt.guard()
        self._attempt.journal.record({"finishing": "1"})
        self._attempt.progress("finishing", length, length)
        said = self._commit(
            lambda: self._target.finish(file.file_id, parts, new, self._only()), new
        )
        there = tried_again(self._target.look, self._client)
        # One that bears another mark was written by somebody else since; that is theirs.
        if there is not None and there.mark == new.mark:
            differs = bool(said and there.digest and said != there.digest)
            if there.size != length or differs:
                self._attempt.journal.clear()
                raise destination_failures.damaged(self._target.uri)
        return Received(version, sha1, length, verified=verified, resumed_bytes=skip)

    def _commit(self, act: Callable[[], T], new: NewObject) -> T | None:
        """What *act* gives, which makes the object; None where a try of it without an answer has
        made it: what is there then is not what may be replaced any more."""
        try:
            return tried_again(act, self._client)
        except CallerError as error:
            if error.code != "destination_changed":
                raise
            there = self._target.look()
            if there is None or there.mark != new.mark:
                raise
        return None

    def _mark(self, version: FileVersion) -> str:
        """What tells an object of this job, made of *version*, from all others."""
        return mark(self._client, self._attempt, self._target.uri, version.file_id)

    def _check(self, version: FileVersion, sha1: str, length: int) -> bool:
        """Compare with what B2 says; whether there was something to compare with."""
        whole = self._window.first == 0 and length == version.size
        is_right = whole and version.sha1 == sha1
        if self._request.verify and whole and version.sha1 is not None and not is_right:
            if self._left is not None:
                self._target.abort(self._left.file.file_id)
            raise mismatch(self._attempt, version, version.sha1, sha1)
        return is_right

    def _new(self, version: FileVersion, sha1: str | None) -> NewObject:
        version = self._described(version)
        modified = version.modified_millis or version.uploaded_millis or None
        info = {name: text for name, text in version.info.items() if name != JOB_TAG}
        new = NewObject(version.content_type, info, modified, sha1, self._mark(version))
        self.not_carried = self._target.not_carried(new)
        return new

    def _described(self, version: FileVersion) -> FileVersion:
        """*version* with all of its info: a download sends some as if they were B2's headers."""
        if self._known is None or self._known.file_id != version.file_id:
            known = (
                self._client.version(version.file_id) if version.has_headers_of_its_own else None
            )
            self._known = known or version
        return self._known

    def _anew(self) -> None:
        self._left = None
        self._attempt.journal.clear()

    def _drop(self, why: Exception | None) -> None:
        """Abort what was begun, whatever becomes of this attempt."""
        attempt = Uninterrupted(self._attempt)
        try:
            target = self._context.open_target(
                self._request.destination_location, attempt.checkpoint
            )
            if target is not None:
                discard(target, attempt)
            self._left = None
        except JobError as error:
            if why is None:
                raise
            why.add_note(f"An unfinished upload to {self._target.uri} stays: {error.message}")
        except Interrupted:
            return  # somebody else's by now: then it is theirs to clear

    def _by_id(self, file_id: str) -> str:
        return str(self._client.account().session.get_download_url_by_id(file_id))


def discard(target: ObjectTarget, attempt: Attempt) -> None:
    """Abort what the journal says was begun, and forget it; twice does nothing."""
    left = checkpoint.load(attempt.journal)
    if left is not None and left.file.name == target.uri:
        target.abort(left.file.file_id)
    elif left is None and checkpoint.may_have_begun(attempt.journal):
        target.abort_begun(float(attempt.journal.load().get(_SINCE, 0)))
    attempt.journal.clear()


def _resumed(left: Checkpoint | None) -> tuple[dict[int, str], digest.Digest]:
    """The parts that need not be sent again, and the digest of them."""
    known = digest.resume(left.digest_state) if left is not None else None
    if left is None or known is None:
        return {}, digest.new()
    count = -(-left.digest_offset // left.file.part_bytes)
    return {number: left.parts[number] for number in range(1, count + 1)}, known
