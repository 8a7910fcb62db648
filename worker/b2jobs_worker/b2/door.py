"""The way into B2 for one job: every call the engine makes.

Each call waits for its turn (governor, concurrency), is metered, can be interrupted, is
tried again for seconds where that helps (retry.py), and raises `JobError`s only.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from b2sdk.v3 import MetadataDirectiveMode
from b2sdk.v3.exception import B2Error, FileNotPresent, ResourceNotFound

from b2jobs.errors import JobError
from b2jobs_worker.b2 import errors, retry, versions
from b2jobs_worker.b2.accounts import Account, Accounts, BucketName
from b2jobs_worker.b2.calling import Caller, calling_as
from b2jobs_worker.b2.http import Body, Carried, Response
from b2jobs_worker.b2.meter import Meter
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer.attempt import Attempt, Uninterrupted

T = TypeVar("T")
ANY_NAME: str | None = None


class Door:
    """One job's calls to B2 under one account. For many threads of one process."""

    def __init__(self, accounts: Accounts, account: str, attempt: Attempt, meter: Meter) -> None:
        self._accounts = accounts
        self._name = account
        self._attempt = attempt
        self._caller = Caller(attempt, meter)
        self.meter = meter

    def uninterrupted(self) -> Door:
        """The same door for cleaning up: what is done through it is not interrupted."""
        return Door(self._accounts, self._name, Uninterrupted(self._attempt), self.meter)

    def account(self) -> Account:
        """The account, authorised.

        Raises:
            OperatorError: `credentials_missing`, `credentials_invalid`, ...
        """
        account = self._accounts.get(self._name)
        if not account.is_authorised:
            self._try(account, "authorize_account", account.authorise, 0, ())
        return account

    def require(self, *capabilities: str, name: str | None = ANY_NAME) -> Account:
        """The account, when its key has *capabilities* and may use *name*. Costs no call.

        Raises:
            OperatorError: `capability_missing`, `name_not_allowed`.
        """
        account = self.account()
        missing = set(capabilities) - account.capabilities
        if missing:
            raise errors.capability_missing(missing)
        prefix = account.name_prefix
        if name is not None and prefix and not name.startswith(prefix):
            raise errors.name_not_allowed(name, prefix)
        return account

    def bucket(self, name: str) -> BucketName:
        """The bucket's id; a class C call the first time, unless the key tells it.

        Raises:
            CallerError: `bucket_not_found`.
            OperatorError: `bucket_not_allowed`, `capability_missing`.
        """
        account = self.account()
        known = account.known_bucket(name)
        if known is not None:
            return known
        if account.allowed_buckets is not None:
            raise errors.bucket_not_allowed(name)
        for document in self.list_buckets(name):
            bucket = BucketName(document["bucketId"], document["bucketName"])
            account.remember_bucket(bucket)
            return bucket
        raise errors.bucket_not_found(name)

    def url(self, bucket: str, name: str) -> str:
        """The file's stable address; it opens by itself in a public bucket only."""
        return str(self.account().session.get_download_url_by_name(bucket, name))

    # uploads

    def upload_file(
        self,
        bucket: BucketName,
        name: str,
        body: bytes | Body,
        *,
        length: int,
        sha1: str,
        content_type: str,
        info: Mapping[str, str],
        in_doubt: Callable[[], FileVersion | None],
    ) -> FileVersion:
        """Send a whole file. *length* and *sha1* are as b2_upload_file has them.

        *in_doubt* is asked before a second try that could make a second version: it looks
        whether the first one has taken effect, and what it returns is the outcome.
        """

        def send(account: Account) -> FileVersion:
            return versions.from_json(
                account.session.upload_file(
                    bucket.bucket_id, name, length, content_type, sha1, dict(info), body
                )
            )

        return self._call(
            "upload_file",
            send,
            needs=("writeFiles",),
            moves=length,
            bucket=bucket.name,
            in_doubt=in_doubt,
        )

    def start_large_file(
        self, bucket: BucketName, name: str, content_type: str, info: Mapping[str, str]
    ) -> str:
        """Begin a large file and return its id."""

        def start(account: Account) -> str:
            document = account.session.start_large_file(
                bucket.bucket_id, name, content_type, dict(info)
            )
            return str(document["fileId"])

        return self._call("start_large_file", start, needs=("writeFiles",), bucket=bucket.name)

    def upload_part(
        self, file_id: str, number: int, body: bytes | Body, *, length: int, sha1: str
    ) -> str:
        """Send one part; returns its SHA-1 as B2 has verified it. Repeating it is harmless."""

        def send(account: Account) -> str:
            document = account.session.upload_part(file_id, number, length, sha1, body)
            return str(document["contentSha1"])

        return self._call("upload_part", send, needs=("writeFiles",), moves=length)

    def finish_large_file(self, file_id: str, sha1s: Sequence[str]) -> FileVersion:
        """Make a version of the parts. Safe to repeat: what was finished is returned again."""

        def finish(account: Account) -> FileVersion:
            version = versions.from_json(account.session.finish_large_file(file_id, list(sha1s)))
            account.session.info.clear_large_file_upload_urls(file_id)
            return version

        def finished() -> FileVersion | None:
            version = self.version(file_id)
            return version if version is not None and version.action == "upload" else None

        return self._call("finish_large_file", finish, needs=("writeFiles",), in_doubt=finished)

    def cancel_large_file(self, file_id: str) -> bool:
        """Remove an unfinished large file and its parts; false when there is none (any more)."""

        def cancel(account: Account) -> bool:
            account.session.info.clear_large_file_upload_urls(file_id)
            try:
                account.session.cancel_large_file(file_id)
            except (FileNotPresent, ResourceNotFound):
                return False
            return True

        return self._call("cancel_large_file", cancel, needs=("writeFiles",))

    def list_parts(self, file_id: str) -> dict[int, str]:
        """SHA-1 by number of the parts B2 has."""
        parts: dict[int, str] = {}
        start = 1
        while start:
            page = self._call(
                "list_parts",
                lambda account, start=start: account.session.list_parts(file_id, start, 1000),
                needs=("writeFiles",),
            )
            for part in page["parts"]:
                parts[int(part["partNumber"])] = part["contentSha1"]
            start = page.get("nextPartNumber") or 0
        return parts

    def unfinished(self, bucket: BucketName, name: str) -> Iterator[FileVersion]:
        """Large files of exactly this *name* that were started and not finished."""
        start: str | None = None
        while True:
            page = self._call(
                "list_unfinished_large_files",
                lambda account, start=start: account.session.list_unfinished_large_files(
                    bucket.bucket_id, start_file_id=start, max_file_count=100, prefix=name
                ),
                needs=("listFiles",),
                bucket=bucket.name,
            )
            for document in page["files"]:
                if document["fileName"] == name:
                    yield versions.from_json({**document, "action": "start"})
            start = page.get("nextFileId")
            if not start:
                return

    # what is there

    def version(self, file_id: str) -> FileVersion | None:
        """One version by its id; None when there is none. Class B."""

        def look(account: Account) -> FileVersion | None:
            try:
                return versions.from_json(account.session.get_file_info_by_id(file_id))
            except (FileNotPresent, ResourceNotFound):
                return None

        return self._call("get_file_info", look, needs=("readFiles",))

    def latest(self, bucket: BucketName, name: str) -> FileVersion | None:
        """The visible version of *name*: None when there is none or it is hidden.

        Class B; class C with a key that may list and not read.
        """
        capabilities = self.account().capabilities
        if "readFiles" not in capabilities and "listFiles" in capabilities:
            page = self.list_names(bucket, prefix=name, start=name, count=1)
            return next((file for file in page[0] if file.name == name), None)

        def look(account: Account) -> FileVersion | None:
            try:
                headers = account.session.get_file_info_by_name(bucket.name, name)
            except (FileNotPresent, ResourceNotFound):
                return None
            return versions.from_headers(headers)

        return self._call("get_file_info_by_name", look, needs=("readFiles",))

    def list_names(
        self, bucket: BucketName, *, prefix: str, start: str | None = None, count: int = 1000
    ) -> tuple[list[FileVersion], str | None]:
        """Visible files in order of their names, and where to go on. One class C a 1,000."""
        page = self._call(
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
        page = self._call(
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

    # downloads

    @contextlib.contextmanager
    def download(
        self, url: str, first: int | None = None, last: int | None = None
    ) -> Iterator[Response]:
        """Bytes *first* to *last* (inclusive) of the file behind *url*, as they arrive.

        The headers have come when the context begins; what breaks while the body is read
        is raised by `Response.readinto` as b2sdk's exceptions are: use `reading`.
        """
        account = self.require("readFiles")
        range_ = None if first is None else (first, last if last is not None else 2**62)
        expected = last - first + 1 if first is not None and last is not None else 0

        def open_() -> Response:
            with account.session.download_file_from_url(url, range_=range_) as response:
                found: Response = response
            return found

        self._accounts.governor.admit(account.name, expected, self._attempt.checkpoint)
        entered = account.concurrency.enter(self._attempt.checkpoint)
        before = self.meter.bytes_received
        overloaded = True
        response: Response | None = None
        try:
            response = self._try(account, "download_file", open_, 0, ("readFiles",))
            yield response
            overloaded = False
        except JobError as error:
            overloaded = error.code in retry.OVERLOADED
            raise
        except Exception:
            overloaded = False
            raise
        finally:
            if response is not None:
                response.close()
            moved = min(self.meter.bytes_received - before, expected or 2**62)
            account.concurrency.leave(entered, moved, overloaded=overloaded)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Turns what breaks while a body is read into JobErrors, and an abort into Interrupted."""
        import requests

        try:
            yield
        except requests.RequestException as error:
            self._attempt.checkpoint()
            code = "timeout" if isinstance(error, requests.Timeout) else "connection_broken"
            raise errors.broken(code, str(error)) from error
        except Carried as carried:
            raise carried.error from carried

    # everything else

    def copy_file(
        self,
        source_id: str,
        bucket: BucketName,
        name: str,
        *,
        content_type: str | None,
        info: Mapping[str, str] | None,
        in_doubt: Callable[[], FileVersion | None],
    ) -> FileVersion:
        """Copy up to 5 GB inside B2. Metadata is replaced when *content_type* is given."""
        replace = content_type is not None

        def copy(account: Account) -> FileVersion:
            document = account.session.copy_file(
                source_id,
                name,
                metadata_directive=MetadataDirectiveMode.REPLACE
                if replace
                else MetadataDirectiveMode.COPY,
                content_type=content_type,
                file_info=dict(info or {}) if replace else None,
                destination_bucket_id=bucket.bucket_id,
            )
            return versions.from_json(document)

        return self._call(
            "copy_file",
            copy,
            needs=("readFiles", "writeFiles"),
            bucket=bucket.name,
            in_doubt=in_doubt,
        )

    def copy_part(self, source_id: str, file_id: str, number: int, first: int, last: int) -> str:
        """Copy bytes *first* to *last* (inclusive) as a part; returns its SHA-1."""

        def copy(account: Account) -> str:
            document = account.session.copy_part(
                source_id, file_id, number, bytes_range=(first, last)
            )
            return str(document["contentSha1"])

        return self._call("copy_part", copy, needs=("readFiles", "writeFiles"))

    def delete_version(self, file_id: str, name: str) -> bool:
        """Remove one version; false when it is not there (any more)."""

        def delete(account: Account) -> bool:
            try:
                account.session.delete_file_version(file_id, name)
            except (FileNotPresent, ResourceNotFound):
                return False
            return True

        return self._call("delete_file_version", delete, needs=("deleteFiles",))

    def download_authorization(self, bucket: BucketName, prefix: str, seconds: int) -> str:
        """A token that opens files of *bucket* whose names begin with *prefix*."""

        def mint(account: Account) -> str:
            document = account.session.get_download_authorization(bucket.bucket_id, prefix, seconds)
            return str(document["authorizationToken"])

        return self._call(
            "get_download_authorization", mint, needs=("shareFiles",), bucket=bucket.name
        )

    def list_buckets(self, name: str | None = None) -> list[dict[str, Any]]:
        """B2's documents of all buckets the key may see, or of the one called *name*."""

        def look(account: Account) -> list[dict[str, Any]]:
            document = account.session.list_buckets(
                account.session.info.get_account_id(), bucket_name=name
            )
            found: list[dict[str, Any]] = document["buckets"]
            return found

        return self._call("list_buckets", look, needs=("listBuckets",))

    def create_bucket(
        self, name: str, bucket_type: str, lifecycle: list[dict[str, Any]] | None
    ) -> dict[str, Any]:
        def create(account: Account) -> dict[str, Any]:
            document: dict[str, Any] = account.session.create_bucket(
                account.session.info.get_account_id(), name, bucket_type, lifecycle_rules=lifecycle
            )
            return document

        return self._call("create_bucket", create, needs=("writeBuckets",))

    def update_bucket(
        self,
        bucket: BucketName,
        bucket_type: str | None,
        lifecycle: list[dict[str, Any]] | None,
    ) -> dict[str, Any]:
        def update(account: Account) -> dict[str, Any]:
            document: dict[str, Any] = account.session.update_bucket(
                account.session.info.get_account_id(),
                bucket.bucket_id,
                bucket_type=bucket_type,
                lifecycle_rules=lifecycle,
            )
            return document

        return self._call("update_bucket", update, needs=("writeBuckets",), bucket=bucket.name)

    def delete_bucket(self, bucket: BucketName) -> dict[str, Any]:
        def delete(account: Account) -> dict[str, Any]:
            document: dict[str, Any] = account.session.delete_bucket(
                account.session.info.get_account_id(), bucket.bucket_id
            )
            account.forget_bucket(bucket.name)
            return document

        return self._call("delete_bucket", delete, needs=("deleteBuckets",), bucket=bucket.name)

    # how a call is made

    def _call(
        self,
        call: str,
        act: Callable[[Account], T],
        *,
        needs: tuple[str, ...] = (),
        moves: int = 0,
        bucket: str | None = None,
        in_doubt: Callable[[], T | None] | None = None,
    ) -> T:
        tries = 0
        while True:
            self._attempt.checkpoint()
            account = self.require(*needs)
            self._accounts.governor.admit(account.name, moves, self._attempt.checkpoint)
            entered = account.concurrency.enter(self._attempt.checkpoint)
            overloaded = False
            tries += 1
            try:
                return self._try(account, call, lambda a=account: act(a), moves, needs)
            except JobError as error:
                overloaded = error.code in retry.OVERLOADED
                if error.code == "bucket_not_found" and bucket is not None:
                    account.forget_bucket(bucket)
                pause = retry.pause_before_next(error, tries)
                if pause is None and (in_doubt is None or error.code not in retry.DOUBTFUL):
                    raise
                failed = error
            finally:
                account.concurrency.leave(entered, moves, overloaded=overloaded)
            if pause is not None:
                self._sleep(pause)
            if in_doubt is not None and failed.code in retry.DOUBTFUL:
                outcome = in_doubt()
                if outcome is not None:
                    return outcome
            if pause is None:
                raise failed

    def _try(
        self,
        account: Account,
        call: str,
        act: Callable[[], T],
        moves: int,
        needs: tuple[str, ...],
    ) -> T:
        try:
            with calling_as(self._caller):
                return act()
        except Carried as carried:
            raise carried.error from carried
        except B2Error as error:
            # An aborted connection looks like a broken one; the reason is the interruption.
            self._attempt.checkpoint()
            missing = () if call == "authorize_account" else set(needs) - account.capabilities
            converted = errors.convert(error, call, missing=missing)
            if converted.wait is not None and converted.wait.reason in ("rate_limited", "cap"):
                self._accounts.governor.pause(account.name, converted)
            raise converted from error

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._attempt.checkpoint()
            time.sleep(min(left, 0.1))
