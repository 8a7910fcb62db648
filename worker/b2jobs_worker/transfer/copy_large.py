"""Copies above 5 GB: parts are copied in parallel, journalled as those of an upload are."""

from __future__ import annotations

import threading

from b2jobs.errors import JobError
from b2jobs.metadata import LARGE_FILE_SHA1
from b2jobs_worker.attempt import Attempt, Interrupted
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer import checkpoint
from b2jobs_worker.transfer.abandon import remove_unfinished
from b2jobs_worker.transfer.checkpoint import LargeFile
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.parts import MOST_PARTS, PartPlan
from b2jobs_worker.transfer.target import NewFile

PART_BYTES = 500_000_000
_AT_ONCE = 16


class LargeCopy:
    """The large file of one copy job, new or begun by an earlier attempt."""

    def __init__(self, client: B2Client, attempt: Attempt, context: Context) -> None:
        self.resumed_bytes = 0
        self._client = client
        self._attempt = attempt
        self._context = context
        self._left = checkpoint.load(attempt.journal) if attempt.number > 1 else None
        self._file: LargeFile | None = self._left.file if self._left else None
        self._parts: dict[int, str] = {}
        self._lock = threading.Lock()

    @property
    def file_id(self) -> str | None:
        return self._file.file_id if self._file else None

    @property
    def has_begun(self) -> bool:
        """Whether an earlier attempt has begun a file and cannot have finished it."""
        return self._left is not None and not self._left.is_finishing

    def send(self, new: NewFile, source: FileVersion) -> FileVersion:
        """Copy *source* in parts as *new*; what is unfinished is kept or removed as in uploads."""
        try:
            return self._send(new, source)
        except Interrupted as error:
            if not error.keep:
                self._remove(error)
            raise
        except JobError as error:
            if error.wait is None:
                self._remove(error)
            raise

    def _send(self, new: NewFile, source: FileVersion) -> FileVersion:
        left = self._left
        if left is not None and left.file.identity != source.file_id:
            self._client.cancel_large_file(left.file.file_id)
            self._attempt.journal.clear()
            left = self._left = self._file = None
        if left is not None:
            self._parts = {number: sha1 for number, sha1 in left.parts.items() if sha1}
            plan = PartPlan(left.file.part_bytes, source.size)
            self.resumed_bytes = sum(plan.length(number) for number in self._parts)
        else:
            plan = PartPlan(max(PART_BYTES, -(-source.size // MOST_PARTS)), source.size)
            self._begin(new, source, plan)
        assert self._file is not None
        assert plan.count is not None
        missing = [n for n in range(1, plan.count + 1) if n not in self._parts]
        self._context.threads.each(
            lambda number: self._copy_part(source, plan, number), missing, width=_AT_ONCE
        )
        self._attempt.progress("finishing", source.size, source.size)
        self._attempt.guard()
        self._attempt.journal.record({"finishing": "1"})
        sha1s = [self._parts[number] for number in sorted(self._parts)]
        return self._client.finish_large_file(self._file.file_id, sha1s)

    def _begin(self, new: NewFile, source: FileVersion, plan: PartPlan) -> None:
        info = dict(new.info)
        if source.sha1 and len(info) < 10:
            info.setdefault(LARGE_FILE_SHA1, source.sha1)
        file_id = self._client.start_large_file(new.bucket, new.name, new.content_type, info)
        self._file = LargeFile(
            file_id, new.bucket.bucket_id, new.name, source.file_id, source.size, plan.part_bytes
        )
        self._attempt.journal.record(checkpoint.begun(self._file))

    def _copy_part(self, source: FileVersion, plan: PartPlan, number: int) -> None:
        assert self._file is not None
        first = plan.offset(number)
        last = first + plan.length(number) - 1
        sha1 = self._client.copy_part(source.file_id, self._file.file_id, number, first, last)
        with self._lock:
            self._parts[number] = sha1
            done = sum(plan.length(each) for each in self._parts)
        self._attempt.progress("copying", done, source.size)
        self._attempt.journal.record(checkpoint.part_done(number, sha1))

    def _remove(self, why: Exception) -> None:
        remove_unfinished(self._file, self._client, self._attempt, why)
