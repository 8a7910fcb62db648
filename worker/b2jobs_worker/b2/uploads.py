"""Calls that make a version: whole files, and large ones in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from b2jobs.errors import CallerError
from b2jobs_worker.b2 import versions
from b2jobs_worker.b2.accounts import Account, BucketName
from b2jobs_worker.b2.errors import naming_key
from b2jobs_worker.b2.http import Body
from b2jobs_worker.b2.listings import ListingCalls
from b2jobs_worker.b2.protection import NOTHING, Encryption, Protection, setting
from b2jobs_worker.b2.versions import FileVersion, quoted


class UploadCalls(ListingCalls):
    """Sending; see `Calls` for what every call does."""

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
        protection: Protection = NOTHING,
    ) -> FileVersion:
        """Send a whole file. *length* and *sha1* are as b2_upload_file has them.

        *in_doubt* is asked before a second try that could make a second version: it looks
        whether the first one has taken effect, and what it returns is the outcome.
        """

        def send(account: Account) -> FileVersion:
            session = account.session
            if protection:
                about = bucket.bucket_id, name, length, content_type, sha1, dict(info), body
                document = session.upload_file(*about, **protection.arguments())
            else:
                headers = file_headers(name, length, content_type, sha1, info)
                document = session.upload_plain(bucket.bucket_id, headers, body)
            return versions.from_json(document)

        return self.call(
            "upload_file",
            send,
            needs=("writeFiles",),
            moves=length,
            bucket=bucket.name,
            in_doubt=in_doubt,
        )

    def start_large_file(
        self,
        bucket: BucketName,
        name: str,
        content_type: str,
        info: Mapping[str, str],
        *,
        in_doubt: Callable[[], str | None],
        protection: Protection = NOTHING,
    ) -> str:
        """Begin a large file and return its id. *in_doubt*: as `upload_file`'s, for ids."""

        def start(account: Account) -> str:
            document = account.session.start_large_file(
                bucket.bucket_id, name, content_type, dict(info), **protection.arguments()
            )
            return str(document["fileId"])

        return self.call(
            "start_large_file",
            start,
            needs=("writeFiles",),
            bucket=bucket.name,
            in_doubt=in_doubt,
        )

    def upload_part(
        self,
        file_id: str,
        number: int,
        body: bytes | Body,
        *,
        length: int,
        sha1: str,
        encryption: Encryption | None = None,
    ) -> str:
        """Send one part; returns its SHA-1 as B2 has verified it. Repeating it is harmless.

        *encryption*: that of the file, where it is with a customer's key.
        """

        def send(account: Account) -> str:
            document = account.session.upload_part(
                file_id, number, length, sha1, body, setting(encryption)
            )
            return str(document["contentSha1"])

        with naming_key("The unfinished large file", encryption):
            return self.call("upload_part", send, needs=("writeFiles",), moves=length)

    def finish_large_file(
        self, file_id: str, sha1s: Sequence[str], *, in_doubt: Callable[[], FileVersion | None]
    ) -> FileVersion:
        """Make a version of the parts. Safe to repeat: what was finished is returned again.

        *in_doubt* finds it for a key that may not read.
        """

        def finish(account: Account) -> FileVersion:
            version = versions.from_json(account.session.finish_large_file(file_id, list(sha1s)))
            account.session.info.clear_large_file_upload_urls(file_id)
            return version

        def finished() -> FileVersion | None:
            if "readFiles" not in self.account().capabilities:
                return in_doubt()
            version = self.version(file_id)
            return version if version is not None and version.action == "upload" else None

        try:
            return self.call("finish_large_file", finish, needs=("writeFiles",), in_doubt=finished)
        except CallerError:
            # So a file is refused that a finish without an answer, or a late one, has made.
            version = finished()
            if version is None:
                raise
            return version

    def cancel_large_file(self, file_id: str) -> bool:
        """Remove an unfinished large file and its parts; false when there is none (any more)."""

        def cancel(account: Account) -> bool:
            account.session.info.clear_large_file_upload_urls(file_id)
            account.session.cancel_large_file(file_id)
            return True

        return self.call(
            "cancel_large_file", cancel, needs=("writeFiles",), absent=lambda doubted: doubted
        )

    def is_unfinished(self, file_id: str) -> bool:
        """Whether this large file can still take parts."""
        try:
            self._parts_page(file_id, 1)
        except CallerError:
            return False
        return True

    def list_parts(self, file_id: str) -> dict[int, str]:
        """SHA-1 by number of the parts B2 has."""
        parts: dict[int, str] = {}
        start = 1
        while start:
            page = self._parts_page(file_id, start)
            for part in page["parts"]:
                parts[int(part["partNumber"])] = part["contentSha1"]
            start = page.get("nextPartNumber") or 0
        return parts

    def unfinished(self, bucket: BucketName, name: str) -> Iterator[FileVersion]:
        """Large files of exactly this *name* that were started and not finished."""
        start: str | None = None
        while True:
            page = self._unfinished_page(bucket, name, start)
            for document in page["files"]:
                if document["fileName"] == name:
                    yield versions.from_json({**document, "action": "start"})
            start = page.get("nextFileId")
            if not start:
                return

    def _parts_page(self, file_id: str, start: int) -> dict[str, Any]:
        def look(account: Account) -> dict[str, Any]:
            page: dict[str, Any] = account.session.list_parts(file_id, start, 1000)
            return page

        return self.call("list_parts", look, needs=("writeFiles",))

    def _unfinished_page(self, bucket: BucketName, name: str, start: str | None) -> dict[str, Any]:
        def look(account: Account) -> dict[str, Any]:
            page: dict[str, Any] = account.session.list_unfinished_large_files(
                bucket.bucket_id, start_file_id=start, max_file_count=100, prefix=name
            )
            return page

        return self.call(
            "list_unfinished_large_files", look, needs=("listFiles",), bucket=bucket.name
        )


def file_headers(
    name: str, length: int, content_type: str, sha1: str, info: Mapping[str, str]
) -> dict[str, str]:
    """Of b2_upload_file, as b2sdk writes them."""
    headers = {
        "Content-Length": str(length),
        "X-Bz-File-Name": quoted(name),
        "Content-Type": content_type,
        "X-Bz-Content-Sha1": sha1,
    }
    for key, text in info.items():
        headers[f"X-Bz-Info-{key}"] = quoted(text)
    headers["Accept"] = "application/json"
    return headers
