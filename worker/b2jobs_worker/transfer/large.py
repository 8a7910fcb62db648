"""Uploads in parts: sent in parallel, journalled, gone on with by any worker.

The source is read once, in order, into buffers of one part each; the digest of the whole
is taken while reading, that of a part by the lane that sends it. After each part the
journal knows its SHA-1 and the state of the whole digest, so that whoever goes on neither
asks B2 what it has nor reads what was sent.
"""

from __future__ import annotations

from b2jobs.errors import JobError
from b2jobs.metadata import LARGE_FILE_SHA1
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.sources.failures import check_digest, source_changed
from b2jobs_worker.sources.port import Source, check_unchanged
from b2jobs_worker.transfer import checkpoint, parts, small
from b2jobs_worker.transfer.checkpoint import Checkpoint, LargeFile
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.in_flight import PARTS_START
from b2jobs_worker.transfer.parts import PartPlan
from b2jobs_worker.transfer.pump import Pump
from b2jobs_worker.transfer.target import NewFile
from b2jobs_worker.transfer.unfinished import Unfinished


class LargeUpload:
    """The large file of one upload job, new or begun by an earlier attempt."""

    def __init__(
        self, client: B2Client, attempt: Attempt, context: Context, source: Source
    ) -> None:
        self.resumed_bytes = 0
        self.unfinished = Unfinished(client, attempt)
        self._client = client
        self._attempt = attempt
        self._context = context
        self._source = source

    @property
    def known_sha1(self) -> str | None:
        """Of the whole source, when an earlier attempt has read all of it."""
        left = self.unfinished.left
        return left.sha1 if left else None

    def send(self, new: NewFile) -> tuple[FileVersion, str]:
        """Upload the source as *new*; returns its SHA-1 too. See `Unfinished.carried`."""
        return self.unfinished.carried(lambda: self._send(new))

    def _send(self, new: NewFile) -> tuple[FileVersion, str]:
        left = self._resumable(new)
        if left is not None and left.is_finishing and left.sha1:
            version = self._client.version(left.file.file_id)
            if version is not None and version.action == "upload":
                return version, left.sha1
        plan = self._plan(left)
        if plan.size is not None and plan.size <= plan.part_bytes:
            # B2 makes no large file of one part.
            self.unfinished.discard()
            return small.send(self._client, self._attempt, self._source, plan.size, new)
        account = self._client.account()
        with (
            self._context.buffers.of_one() as buffers,
            self._context.in_flight.of_one(
                f"to {account.name}",
                sample_bytes=plan.part_bytes,
                start=PARTS_START,
                refusals=lambda: account.concurrency.cuts,
            ) as in_flight,
        ):
            pump = Pump(
                *(self._client, self._attempt, self._source, plan, buffers, in_flight, left),
                encryption=new.protection.customers,
            )
            lanes_ = self._context.threads.lanes(lambda: in_flight.limit)
            with lanes_ as lanes, pump.reading() as reading:
                if left is None:
                    whole = reading.short_content() if plan.size is None else None
                    if whole is not None:
                        return small.send_content(self._client, self._attempt, whole, new)
                    self._begin(new, plan)
                file = self.unfinished.file
                assert file is not None
                self.resumed_bytes = pump.resumed_bytes
                reading.send_all(file.file_id, lanes)
            return self._finish(new, pump, file.file_id)

    def _finish(self, new: NewFile, pump: Pump, file_id: str) -> tuple[FileVersion, str]:
        sha1 = pump.sha1
        check_digest(self._source, sha1)
        if new.info.get(LARGE_FILE_SHA1, sha1) != sha1:
            raise source_changed(self._source.uri)
        self._attempt.progress("finishing", pump.done_bytes, self._source.size)
        check_unchanged(self._source)
        try:
            return self.unfinished.finish(new, pump.part_sha1s(), sha1=sha1), sha1
        except JobError as error:
            if error.code == "parts_incomplete":
                self._reconcile(pump, file_id)
            raise

    def _reconcile(self, pump: Pump, file_id: str) -> None:
        """Make the journal agree with what B2 says it has: the next attempt sends the rest."""
        there = self._client.list_parts(file_id)
        lost = {
            number: ""
            for number, sha1 in enumerate(pump.part_sha1s(), start=1)
            if there.get(number) != sha1
        }
        fields = {"finishing": "0"}
        for number, nothing in lost.items():
            fields |= checkpoint.part_done(number, nothing)
        self._attempt.journal.record(fields)

    def _plan(self, left: Checkpoint | None) -> PartPlan:
        if left is not None:
            return PartPlan(left.file.part_bytes, left.file.size)
        return parts.plan(
            self._source.size,
            chosen_bytes=self._context.settings.part_size_bytes,
            fair_bytes=self._context.fair_bytes,
            least_bytes=self._client.account().least_part_bytes,
        )

    def _begin(self, new: NewFile, plan: PartPlan) -> None:
        file = LargeFile(
            file_id="",
            bucket_id=new.bucket.bucket_id,
            name=new.name,
            identity=self._source.identity,
            size=self._source.size,
            part_bytes=plan.part_bytes,
        )
        self.unfinished.begin(new, file)

    def _resumable(self, new: NewFile) -> Checkpoint | None:
        """The checkpoint to go on from; one of another source or target is removed."""
        left = self.unfinished.left
        if left is None or (
            left.file.identity == self._source.identity
            and left.file.size == self._source.size
            and left.file.name == new.name
            and left.file.bucket_id == new.bucket.bucket_id
        ):
            return left
        self.unfinished.discard()
        return None
