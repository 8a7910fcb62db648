"""Clients: how an application asks for transfers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Unpack, get_args

from b2jobs import manifest
from b2jobs.batches import BatchHandle
from b2jobs.connection import DEFAULT_URL, PREFIX_VARIABLE, URL_VARIABLE, call_seconds
from b2jobs.errors import B2JobsError, Failure, InvalidJob, JobFailed
from b2jobs.event_stream import FIRST, Event, EventReader, read_events
from b2jobs.feed import RowsBroke, feed
from b2jobs.file_jobs import FileJobs
from b2jobs.handle import Handle
from b2jobs.items import Planned
from b2jobs.prefix_jobs import PrefixJobs
from b2jobs.records import Record, Records
from b2jobs.reports import ReportReader
from b2jobs.requests import KINDS, PUBLIC_KINDS, Job, State, build
from b2jobs.requests.options import (
    AccountOptions,
    BatchOptions,
    BucketOptions,
    JobOptions,
    StreamOptions,
    SyncOptions,
    UploadOptions,
)
from b2jobs.results import (
    BucketResult,
    CheckResult,
    SyncResult,
    TransferResult,
    VerifyResult,
)
from b2jobs.signing import KEYS_VARIABLE, ring
from b2jobs.staging import Handed, Offer, is_handed, pieces, staging

_ALL = 10_000_000


class Client(FileJobs, PrefixJobs):
    """Queues jobs in one Redis. Thread-safe; keep one for the whole process.

    Without arguments it reads `B2JOBS_REDIS_URL`, `B2JOBS_KEY_PREFIX` and
    `B2JOBS_REDIS_TIMEOUT_SECONDS`. It holds no Celery app and no B2 credential, and connects
    when it is first used, with 64 connections at most: threads beyond them wait for a free one.

    keys_file: what jobs are signed with (docs/security.md); `B2JOBS_KEYS_FILE` unless said
        otherwise. With it, a result is believed only with a worker's seal.
    timeout_seconds: how long one call of Redis may take, whatever is tried meanwhile; then
        `QueueUnavailable`. 10 unless said otherwise.

    Raises:
        InvalidJob: `invalid_redis_url`; at the first use.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        key_prefix: str | None = None,
        timeout_seconds: float | None = None,
        keys_file: str | Path | None = None,
    ) -> None:
        self.redis_url = redis_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
        self.key_prefix = (
            key_prefix if key_prefix is not None else os.environ.get(PREFIX_VARIABLE, "")
        )
        self.timeout_seconds = call_seconds(timeout_seconds)
        named = keys_file or os.environ.get(KEYS_VARIABLE)
        self.keys_file = Path(named) if named else None

    @cached_property
    def records(self) -> Records:
        """The job records behind this client."""
        keys = ring(self.keys_file, scope=self.key_prefix)
        return Records(self.redis_url, self.key_prefix, self.timeout_seconds, keys)

    def submit(self, job: Job) -> Handle:
        """Queue *job* and return at once with a handle to it.

        Redis holds the job when this returns; it survives a restart as far as your Redis
        persistence does. B2 has not been contacted yet: a missing bucket appears later, as
        the handle's failure. Submitting the same `key` again returns the first job's handle.

        Raises:
            QueueUnavailable: Redis did not confirm; the job may exist.
        """
        return self.job(self.records.submit(str(uuid.uuid4()), job))

    def submit_many(self, jobs: Iterable[Job]) -> list[Handle[Any]]:
        """Queue *jobs* in their order, hundreds in one round trip; their handles.

        Each is as durable, and as independent of the others, as one that `submit` queued. It
        is for jobs that differ in kind or options, or that are waited for one by one; what moves
        many files is a batch.

        Raises:
            InvalidJob: one was refused (`request_too_long`, `limit_reached`, `staged_gone`).
            QueueUnavailable: Redis did not confirm; a hundred more may exist.
                Either way the error's `queued` says how many of the first are queued. With
                `key`s of their own all can be submitted again.
        """
        numbered = [(str(uuid.uuid4()), job) for job in jobs]
        return [self.job(job_id) for job_id in self.records.submit_many(numbered)]

    def job(self, job_id: str) -> Handle[Any]:
        """The handle of a job submitted earlier, perhaps by another process."""
        return Handle(self.records, job_id)

    def jobs(
        self, *, state: State | None = None, kind: str | None = None, limit: int = 100
    ) -> list[Record]:
        """The jobs in *state*, or in any, and of *kind*, or of any: the last *limit*.

        The latest submitted stands first. With a *kind* that is rare among many jobs, all of
        these are looked at.

        Raises:
            InvalidJob: there is no such state or kind.
            QueueUnavailable
        """
        states = get_args(State)
        for name, given, known, told in (
            ("state", state, states, states),
            ("kind", kind, KINDS, PUBLIC_KINDS),
        ):
            if given is not None and given not in known:
                hint = f"Known are {', '.join(told)}."
                raise InvalidJob(f"{name} is {given!r}.", hint=hint, field=name)
        if limit < 1:
            raise InvalidJob(f"limit is {limit!r}.", hint="Give 1 or more.", field="limit")
        found: list[Record] = []
        for each in states if state is None else (state,):
            records = self.records.listed(each, limit=limit if kind is None else _ALL)
            found += islice((r for r in records if kind is None or r.kind == kind), limit)
        return sorted(found, key=_created, reverse=True)[:limit]

    def events(
        self,
        after: str = FIRST,
        *,
        kinds: Collection[str] = (),
        job: str | None = None,
        follow: bool = False,
    ) -> Iterator[Event]:
        """What happened to jobs, behind the event with the id *after*; all that is kept otherwise.

        after: an event's id, or `now` for what comes from now on.
        kinds: only of jobs of these kinds; job: only of the one with this id, which may be a
            batch or a sync: its parts tell nothing of their own.
        follow: wait for more, for ever.

        The latest 100,000 are kept, or what the workers' `keep_events` says; where those behind
        *after* are gone, the first that comes is named `missed`. An event is no proof: a job's
        record is what is true about it.

        Raises:
            InvalidJob: there is no such kind, or *after* is no event's id.
            QueueUnavailable: go on with the id of the last event.
        """
        reader = EventReader(self.records, after, kinds=kinds, job=job)
        return read_events(reader, follow=follow)

    def ask(self, kind: str, **arguments: Any) -> Handle:
        """Validate *arguments* as a job of *kind* and submit it.

        Raises:
            InvalidJob: names the argument, its value and the way out; nothing was queued.
            QueueUnavailable: Redis did not confirm; the job may exist.
        """
        if kind == "upload" and is_handed(arguments.get("source")):
            return self._hand_over(**arguments)
        return self.submit(build(kind, arguments))

    def _hand_over(self, source: Handed, **arguments: Any) -> Handle:
        """Upload what the producer has: staged piece by piece, then submitted."""
        offer = Offer.of(source, arguments)
        with staging(self.records.pieces, offer.origin, offer.limits) as staged:
            for piece in pieces(source):
                staged.add(piece)
            return self.submit(offer.request.from_staged(staged.location()))

    def upload(
        self, source: str | Handed, destination: str, **options: Unpack[UploadOptions]
    ) -> Handle[TransferResult]:
        """Put *source* into a bucket as *destination*.

        source: a location where a worker finds it; or what this process has: `bytes`, a
            `pathlib.Path`, or a binary file object, which is read from where it stands. These
            wait in Redis until the job ends, `B2JOBS_STAGED_BYTES` of them at most (64 MiB);
            the worker checks their SHA-1. Memory is 1 MiB.

        Errors of their own: `InvalidJob` as `staged_too_large`, `source_missing`, ...;
        `QueueUnavailable` as `staged_full`. Then nothing stays in Redis.

        Options: if_exists (version, skip, fail, replace), what the file carries (content_type,
        info, cache_control, ...: see `b2jobs.requests.attributes`), account and those of every
        job: key, priority, retry, expires, on_done. Errors as in `ask`.
        """
        return self.ask("upload", source=source, destination=destination, **options)

    def bucket(
        self, action: str, name: str | None = None, **options: Unpack[BucketOptions]
    ) -> Handle[BucketResult]:
        """`create`, `update`, `show`, `delete` or `list` buckets.

        Options: type (private, public), lifecycle, encryption, lock, retention, cors,
        replication, notifications, info, if_revision (docs/buckets.md), account and those of
        every job.
        """
        return self.ask("bucket", action=action, name=name, **options)

    def check(self, account: str = "default", **options: Unpack[JobOptions]) -> Handle[CheckResult]:
        """Ask what the account's key may do."""
        return self.ask("check", account=account, **options)

    def batch(
        self, source: str, destination: str | None = None, **options: Unpack[BatchOptions]
    ) -> BatchHandle:
        """Run many transfers as one job: a manifest, or everything below a prefix.

        `batch("data://nas/list.csv")` reads a manifest of sources and destinations;
        `batch("data://nas/photos/", "b2://archive/photos/")` takes a prefix to a prefix.

        Options: include, exclude (patterns below the prefix), if_exists, dry_run, strict, what
        the files in B2 carry (as `upload`), account and those of every job; the priority is
        `low` unless given.
        """
        if destination is None:
            handle = self.ask("batch", manifest=source, **options)
        else:
            handle = self.ask("batch", source=source, destination=destination, **options)
        return self.batch_job(handle.id)

    def sync(
        self, source: str, destination: str, **options: Unpack[SyncOptions]
    ) -> BatchHandle[SyncResult]:
        """Make *destination* like *source*: up, down, or inside B2.

        Options: delete (keep, hide, remove), keep_days, compare (modtime, size, sha1, none),
        newer (fail, skip, replace), include, exclude, symlinks, max_delete, overlap (wait,
        skip, replace), dry_run, what the files in B2 carry (as `upload`), account and those of
        every job; see `b2jobs.Sync`. It runs as a batch, and is followed and steered as one.
        """
        handle = self.ask("sync", source=source, destination=destination, **options)
        found: BatchHandle[Any] = self.batch_job(handle.id)
        return found

    def batch_items(
        self, items: Iterable[Mapping[str, Any]], **options: Unpack[StreamOptions]
    ) -> BatchHandle:
        """Run many transfers that *items* names, one mapping each, with a manifest's fields.

        Streams: *items* may be longer than memory, and work begins with the first thousand, or
        after a second. A batch whose *items* give nothing for ten minutes ends.
        It returns when the last item is handed over. What cannot be done stands in the
        batch's ledger, under the number of the item, from 1. With the `key` of an earlier
        batch it returns that one's handle, and *items* are not looked at.

        Raises:
            InvalidJob: an option is refused; nothing was queued.
            QueueUnavailable: Redis did not answer for a minute.
            JobFailed: the batch ended meanwhile, or *items* raised, which is the error's
                `__cause__`: what came before is done, and the batch ends as `feed_broken`.
                `job` is the batch's id.
            JobCancelled
        """
        rows = (manifest.row(number, item) for number, item in enumerate(items, 1))
        return self.batch_rows(rows, **options)

    def batch_rows(self, rows: Iterable[Planned], **options: Unpack[StreamOptions]) -> BatchHandle:
        """`batch_items` for lines that are checked already."""
        handle = self._fed("batch", (row.packed() for row in rows), stream=True, **options)
        return self.batch_job(handle.id)

    def verify(
        self, report: Iterable[str], *, prefix: str | None = None, **options: Unpack[AccountOptions]
    ) -> Handle[VerifyResult]:
        """Check the lines of a JSON report against what B2 lists; nothing is read there.

        Given a *prefix* (`b2://BUCKET/folder/`), files below it that the report does not name
        are found too. The job's result counts what is missing, different or extra.

        Raises:
            InvalidJob: `report_invalid`: it lacks its summary, or its digest is another.
        """
        expected = (each.packed() for each in ReportReader().expectations(report))
        try:
            return self._fed("verify", expected, prefix=prefix, **options)
        except JobFailed as failed:
            if isinstance(failed.__cause__, InvalidJob):
                raise failed.__cause__ from None
            raise

    def _fed(self, kind: str, rows: Iterable[Any], **arguments: Any) -> Handle[Any]:
        """Submit a job and feed it; one that has the key already has had its rows."""
        job_id = str(uuid.uuid4())
        handle = self.job(self.records.submit(job_id, build(kind, arguments)))
        if handle.id != job_id:
            return handle
        try:
            self._feed_rows(job_id, rows)
        except RowsBroke as broke:
            if kind != "batch":
                handle.cancel()
            error = broke.__cause__
            failure = Failure(
                code="feed_broken",
                message=f"The items of {job_id} ended after {broke.count} with "
                f"{type(error).__name__}: {error}",
                hint="What came before is done. Submit the rest as another batch.",
                act="caller",
            )
            raise JobFailed(failure, job_id) from error
        except BaseException:
            # Interrupted, or Redis is away: nobody will feed the rest.
            with suppress(B2JobsError):
                handle.cancel()
            raise
        return handle

    def _feed_rows(self, job_id: str, rows: Iterable[Any]) -> None:
        """Hand *rows* to a job that waits for them: see `feed`."""
        feed(self.records, job_id, rows)

    def batch_job(self, batch_id: str) -> BatchHandle:
        """The handle of a batch submitted earlier."""
        return BatchHandle(self.records, batch_id)


def _created(record: Record) -> datetime:
    return record.created or datetime.min.replace(tzinfo=UTC)
