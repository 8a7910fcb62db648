"""What is known of the places a plan names before anything is moved; each is asked once."""

from __future__ import annotations

from b2jobs.errors import CallerError, JobError, OperatorError
from b2jobs.locations import B2File, LocalPath, RootPath, StoreObject
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.sources.roots import StorePlace, place
from b2jobs_worker.sources.stores import writable_store
from b2jobs_worker.sources.target import key_problem
from b2jobs_worker.transfer.context import Context

_TARGET = ("writeFiles",)
_SOURCE = ("readFiles",)


class Places:
    """Buckets and roots, and what the account's key may do in them."""

    def __init__(self, account: str, attempt: Attempt, context: Context) -> None:
        self._client = context.client(account, attempt)
        self._settings = context.settings
        self._buckets: dict[tuple[str, bool], JobError | None] = {}

    def check_bucket(self, location: B2File, *, is_target: bool) -> None:
        """Refuse a file in a bucket that is not there, or that the key may not use.

        One class C call for each bucket that is not known yet.

        Raises:
            JobError: `bucket_not_found`, `capability_missing`, `name_not_allowed`, ...
        """
        key = (location.bucket, is_target)
        if key not in self._buckets:
            self._buckets[key] = self._bucket_problem(location.bucket, is_target)
        problem = self._buckets[key]
        if problem is not None:
            raise problem
        self._client.require(name=location.name)

    def check_root(self, location: RootPath | LocalPath, *, is_target: bool) -> None:
        """Refuse a path below a root that this worker does not have, or may not write.

        Raises:
            JobError: `root_unknown`, `outside_root`, `root_read_only`, ...
        """
        found = place(location, self._settings)
        if isinstance(found, StorePlace):
            self._check_store(found, is_target=is_target)
        elif is_target and not found.root.writable:
            raise OperatorError(
                "root_read_only",
                f"The root {found.root.name!r} may only be read.",
                hint='Give it access = "read-write" in the workers\' config.',
            )

    def check_store(self, location: StoreObject, *, is_target: bool) -> None:
        """Refuse an object of a store that is not known, or may not be written. Asks nobody.

        Raises:
            JobError: `store_read_only`, `store_credentials_missing`, ...
        """
        self._check_store(StorePlace(location, str(location)), is_target=is_target)

    def _check_store(self, found: StorePlace, *, is_target: bool) -> None:
        if is_target:
            writable_store(found, self._settings)
            problem = key_problem(found.target.key)
            if problem:
                raise CallerError("destination_name_refused", f"{found.uri}: {problem}.")

    def _bucket_problem(self, bucket: str, is_target: bool) -> JobError | None:
        try:
            self._client.require(*(_TARGET if is_target else _SOURCE))
            self._client.bucket(bucket)
        except JobError as error:
            if error.wait is not None:
                raise
            return error
        return None
