"""Copies above 5 GB: parts are copied in parallel, journalled as those of an upload are."""

from __future__ import annotations

import threading

from b2jobs.metadata import LARGE_FILE_SHA1
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.protection import Encryption
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer import checkpoint
from b2jobs_worker.transfer.checkpoint import LargeFile
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.parts import MOST_PARTS, PartPlan
from b2jobs_worker.transfer.target import NewFile
from b2jobs_worker.transfer.unfinished import Unfinished

PART_BYTES = 500_000_000
_AT_ONCE = 16


class LargeCopy:
    """The large file of one copy job, new or begun by an earlier attempt."""

    def __init__(self, client: B2Client, attempt: Attempt, context: Context) -> None:
        self.resumed_bytes = 0
        self.unfinished = Unfinished(client, attempt)
        self._client = client
        self._attempt = attempt
        self._context = context
        self._parts: dict[int, str] = {}
        self._encryption: Encryption | None = None
        self._lock = threading.Lock()

    def send(self, new: NewFile, source: FileVersion) -> FileVersion:
        """Copy *source* in parts as *new*. See `Unfinished.carried`."""
        return self.unfinished.carried(lambda: self._send(new, source))

    def _send(self, new: NewFile, source: FileVersion) -> FileVersion:
        self._encryption = new.protection.customers
        left = self.unfinished.left
        if left is not None and (
            left.file.identity != source.file_id
            or left.file.name != new.name
            or left.file.bucket_id != new.bucket.bucket_id
        ):
            self.unfinished.discard()
            left = None
        if left is not None:
            self._parts = {number: sha1 for number, sha1 in left.parts.items() if sha1}
            plan = PartPlan(left.file.part_bytes, source.size)
            self.resumed_bytes = sum(plan.length(number) for number in self._parts)
        else:
            self._parts = {}
            plan = PartPlan(max(PART_BYTES, -(-source.size // MOST_PARTS)), source.size)
            self._begin(new, source, plan)
        file = self.unfinished.file
        assert file is not None
        assert plan.count is not None
        missing = [n for n in range(1, plan.count + 1) if n not in self._parts]
        self._context.threads.each(
            lambda number: self._copy_part(source, plan, file.file_id, number),
            missing,
            width=_AT_ONCE,
        )
        self._attempt.progress("finishing", source.size, source.size)
        return self.unfinished.finish(new, [self._parts[number] for number in sorted(self._parts)])

    def _begin(self, new: NewFile, source: FileVersion, plan: PartPlan) -> None:
        if source.sha1 and LARGE_FILE_SHA1 not in new.info:
            new = new.with_digest(source.sha1)
        file = LargeFile(
            "", new.bucket.bucket_id, new.name, source.file_id, source.size, plan.part_bytes
        )
        self.unfinished.begin(new, file)

    def _copy_part(self, source: FileVersion, plan: PartPlan, file_id: str, number: int) -> None:
        first = plan.offset(number)
        last = first + plan.length(number) - 1
        sha1 = self._client.copy_part(
            *(source.file_id, file_id, number, first, last),
            source_key=self._client.customer_key if source.has_customer_key else None,
            encryption=self._encryption,
        )
        with self._lock:
            self._parts[number] = sha1
            done = sum(plan.length(each) for each in self._parts)
        self._attempt.progress("copying", done, source.size)
        self._attempt.journal.record(checkpoint.part_done(number, sha1))
