"""Calls that tell what is there."""

from __future__ import annotations

from collections.abc import Iterator

from b2jobs.errors import JobError
from b2jobs_worker.b2 import errors, versions
from b2jobs_worker.b2.accounts import Account, BucketName
from b2jobs_worker.b2.calls import Calls
from b2jobs_worker.b2.versions import FileVersion


class ListingCalls(Calls):
    """Looking; see `Calls` for what every call does."""

    def version(self, file_id: str) -> FileVersion | None:
        """One version by its id; None when there is none. Class B."""

        def look(account: Account) -> FileVersion | None:
            try:
                return versions.from_json(account.session.get_file_info_by_id(file_id))
            except errors.NOT_FOUND:
                return None

        return self.call("get_file_info", look, needs=("readFiles",))

    def latest(self, bucket: BucketName, name: str) -> FileVersion | None:
        """The visible version of *name*: None when there is none or it is hidden.

        Class B; class C with a key that may list and not read, and for a file with a
        customer's key, which B2 refuses to tell about without a reason.
        """
        may_list = "listFiles" in self.account().capabilities
        if "readFiles" not in self.account().capabilities and may_list:
            return self._listed(bucket, name)

        def look(account: Account) -> FileVersion | None:
            try:
                headers = account.session.get_file_info_by_name(bucket.name, name)
            except errors.NOT_FOUND:
                return None
            return versions.from_headers(headers)

        try:
            return self.call("get_file_info_by_name", look, needs=("readFiles",))
        except JobError as error:
            # The answer to HEAD has no body, so these come without B2's words.
            if error.code not in ("bad_request", "access_denied", "b2_unknown_error"):
                raise
            if not may_list:
                raise errors.customer_key_needed(f"Probably b2://{bucket.name}/{name}") from error
            return self._listed(bucket, name)

    def _listed(self, bucket: BucketName, name: str) -> FileVersion | None:
        page, _ = self.list_names(bucket, prefix=name, start=name, count=1)
        return next((file for file in page if file.name == name), None)

    def list_names(
        self, bucket: BucketName, *, prefix: str, start: str | None = None, count: int = 1000
    ) -> tuple[list[FileVersion], str | None]:
        """Visible files in order of their names, and where to go on. One class C a 1,000."""
        page = self.call(
            "list_file_names",
            lambda account: account.session.list_file_names(
                bucket.bucket_id, start_file_name=start, max_file_count=count, prefix=prefix
            ),
            needs=("listFiles",),
            bucket=bucket.name,
        )
        return [versions.from_json(each) for each in page["files"]], page.get("nextFileName")

    def list_versions(
        self,
        bucket: BucketName,
        *,
        prefix: str,
        start: tuple[str, str | None] | None = None,
        count: int = 1000,
    ) -> tuple[list[FileVersion], tuple[str, str | None] | None]:
        """All versions, hide markers and unfinished files; newest first within a name."""
        page = self.call(
            "list_file_versions",
            lambda account: account.session.list_file_versions(
                bucket.bucket_id,
                start_file_name=start[0] if start else None,
                start_file_id=start[1] if start else None,
                max_file_count=count,
                prefix=prefix,
            ),
            needs=("listFiles",),
            bucket=bucket.name,
        )
        following = page.get("nextFileName")
        return (
            [versions.from_json(each) for each in page["files"]],
            (following, page.get("nextFileId")) if following else None,
        )

    def versions_of(self, bucket: BucketName, name: str) -> Iterator[FileVersion]:
        """All versions of exactly this *name*, newest first."""
        start: tuple[str, str | None] | None = (name, None)
        while start:
            page, start = self.list_versions(bucket, prefix=name, start=start, count=100)
            for version in page:
                if version.name == name:
                    yield version
            if start and start[0] != name:
                return
