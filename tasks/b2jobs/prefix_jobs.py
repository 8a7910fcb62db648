"""What a client asks about everything below a prefix: what is there, and that it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from b2jobs import locations
from b2jobs.batches import BatchHandle
from b2jobs.errors import InvalidJob
from b2jobs.handle import Handle
from b2jobs.listings import Listing
from b2jobs.locations import B2File, InvalidLocation
from b2jobs.records import Records
from b2jobs.requests.files import Delete
from b2jobs.requests.options import ChoosingOptions, DeleteOptions, ListOptions, RemovalOptions
from b2jobs.results import DeleteResult, DiskUsageResult

_OF_PREFIXES = DeleteOptions.__optional_keys__ - Delete.model_fields.keys()


class PrefixJobs:
    """Methods of `Client`; all of them end in its `ask`, whose errors are theirs."""

    if TYPE_CHECKING:

        @property
        def records(self) -> Records: ...

        def ask(self, kind: str, **arguments: Any) -> Handle: ...

        def batch_job(self, batch_id: str) -> BatchHandle: ...

    def ls(self, target: str, **options: Unpack[ListOptions]) -> Listing:
        """List what is below the prefix *target*, or the file of that name.

        `for line in b2jobs.ls("b2://some-bucket/photos/").lines()` reads while a worker lists, in
        constant memory on both ends; leaving off early ends the job.

        Options: recursive, versions (old ones, hide markers and unfinished large files too),
        limit (1 to 1,000 lines, which then stand in the result), include, exclude, min_age,
        max_age, min_size, max_size, account and those of every job.
        """
        return Listing(self.records, self.ask("list", target=target, **options).id)

    def du(self, target: str, **options: Unpack[ChoosingOptions]) -> Handle[DiskUsageResult]:
        """Add up what is below the prefix *target*: files, versions, bytes, dollars a month.

        Options: include, exclude, min_age, max_age, min_size, max_size (of each version),
        account and those of every job.
        """
        return self.ask("du", target=target, **options)

    def delete(
        self, target: str, **options: Unpack[DeleteOptions]
    ) -> Handle[DeleteResult] | BatchHandle:
        """Remove a file, one version of it, or everything below a prefix that ends in `/`.

        A prefix is a batch, and so is its handle: see `batch_delete`, whose options it takes. Its
        result says how many were `deleted`, as that of one file does. Deleting what is not there
        succeeds.

        Options: versions (latest, all or, of one file, an id), bypass_governance, account and
        those of every job; of a prefix also include, exclude, min_age, max_age, min_size,
        max_size, dry_run, ledger.
        """
        if is_prefix(target):
            return self.batch_delete(target, **options)  # type: ignore[arg-type]  # `Batch` refuses an id
        for name in sorted(options.keys() & _OF_PREFIXES):
            raise InvalidJob(
                f"`{name}` goes with a prefix, and the target names one file.",
                hint="End it with '/' for all that is below it.",
                field=name,
            )
        return self.ask("delete", target=target, **options)

    def batch_delete(
        self,
        target: str,
        versions: Literal["latest", "all"] = "latest",
        **options: Unpack[RemovalOptions],
    ) -> BatchHandle:
        """Remove what is below the prefix *target*, as a batch: with a report, steered, retried.

        What is uploaded after its first look stays. Options: include, exclude, min_age, max_age
        (since the upload), min_size, max_size, dry_run, ledger, account and those of every job.
        """
        return self.batch_job(self.ask("batch", target=target, versions=versions, **options).id)


def is_prefix(target: str) -> bool:
    """Whether *target* is everything below a name in B2; what is no location is not."""
    try:
        location = locations.parse(target)
    except InvalidLocation:
        return False  # whoever validates the request says what is wrong
    return isinstance(location, B2File) and location.is_prefix
