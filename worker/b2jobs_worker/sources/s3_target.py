"""Objects behind an S3 interface as targets of downloads, through boto3: S3's and Google's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from b2jobs.errors import CallerError, PassingError
from b2jobs_worker.sources import destination_failures as wrong
from b2jobs_worker.sources import failures
from b2jobs_worker.sources.roots import Store, StorePlace
from b2jobs_worker.sources.s3 import own_entries
from b2jobs_worker.sources.s3_clients import clients
from b2jobs_worker.sources.s3_failures import store_error
from b2jobs_worker.sources.target import (
    MARK,
    NewObject,
    Piece,
    Spoken,
    Stored,
    md5,
    md5_header,
    rfc3339,
    said_modified,
    said_sha1,
    spoken,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_BEGUN_WITHIN_SECONDS = 120
_MD5 = re.compile(r'"?([0-9a-f]{32}(?:-\d+)?)"?\Z')
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADERS = {
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
    "expires": "Expires",
}


class _ConditionUnknown(Exception):
    """The store knows no conditions on writes."""


class S3Target:
    """See `ObjectTarget`. Every write carries its MD5, which the store compares.

    Where *only* forbids an object, the store is asked before, and by `If-Match` or
    `If-None-Match` with the write itself; one that knows neither was at least asked.
    """

    least_part_bytes = 5 * 1024 * 1024
    most_parts = 10_000
    most_bytes = 5 * 1024**4

    def __init__(self, place: StorePlace, store: Store, checkpoint: Callable[[], None]) -> None:
        self.uri = place.uri
        self._store = store
        self._client = clients.get(store)
        self._checkpoint = checkpoint
        self._where = {"Bucket": store.bucket, "Key": place.target.key}
        self._generation = ""

    def look(self) -> Stored | None:
        try:
            head = self._ask("head_object")
        except CallerError as error:
            if error.code == "destination_missing":
                return None
            raise
        headers = head["ResponseMetadata"]["HTTPHeaders"]
        self._generation = headers.get("x-goog-generation", "")
        entries = own_entries(headers)
        etag, size = head.get("ETag", ""), head["ContentLength"]
        digest = _MD5.match(etag)
        return Stored(
            f"{etag} {size}",
            size,
            said_modified(entries),
            said_sha1(entries),
            entries.get(MARK, ""),
            digest[1] if digest else "",
        )

    def put(self, content: memoryview, new: NewObject, only: str | None) -> None:
        self._write(
            "put_object",
            only,
            Body=Piece(content, self._checkpoint),
            ContentMD5=md5_header(content),
            ContentLength=len(content),
            **self._said(new),
        )

    def begin(self, new: NewObject) -> str:
        return str(self._ask("create_multipart_upload", **self._said(new))["UploadId"])

    def put_part(self, upload: str, number: int, content: memoryview) -> str:
        answer = self._ask(
            "upload_part",
            UploadId=upload,
            PartNumber=number,
            Body=Piece(content, self._checkpoint),
            ContentMD5=md5_header(content),
            ContentLength=len(content),
        )
        etag: str = answer["ETag"]
        digest = _MD5.match(etag)
        # Some encryptions give an ETag that is no MD5: what it says cannot be compared.
        if digest and digest[1] != md5(content).hex() and not _is_encrypted(answer):
            raise wrong.damaged(self.uri)
        return etag

    def finish(self, upload: str, parts: list[str], new: NewObject, only: str | None) -> str:
        del new  # said when it was begun
        each = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(parts, 1)]
        answer = self._write(
            "complete_multipart_upload", only, UploadId=upload, MultipartUpload={"Parts": each}
        )
        if self._store.scheme == "gs" or _is_encrypted(answer) or not all(map(_MD5.match, parts)):
            return ""
        digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in parts)
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"

    def abort(self, upload: str) -> None:
        try:
            self._ask("abort_multipart_upload", UploadId=upload)
        except PassingError as error:
            if error.code != "destination_upload_gone":
                raise

    def abort_begun(self, since: float) -> None:
        """Uploads of this key that began between *since* and two minutes later.

        An upload of the same key by another job in that time is dropped too, and begins anew.
        """
        first = datetime.fromtimestamp(since, UTC) - timedelta(seconds=5)
        last = first + timedelta(seconds=_BEGUN_WITHIN_SECONDS)
        key = self._where["Key"]
        marker: dict[str, str] = {}
        while True:
            page = self._ask("list_multipart_uploads", key=None, Prefix=key, **marker)
            for each in page.get("Uploads", ()):
                if each["Key"] == key and first <= each["Initiated"] <= last:
                    self.abort(each["UploadId"])
            if not page.get("IsTruncated"):
                return
            marker = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def remove(self, identity: str) -> bool:
        there = self.look()
        if there is None:
            return False
        if there.identity != identity:
            raise failures.destination_changed(self.uri)
        self._write("delete_object", identity)
        return True

    def not_carried(self, new: NewObject) -> list[str]:
        return list(self._spoken(new).lost)

    def _spoken(self, new: NewObject) -> Spoken:
        millis = new.modified_millis or 0
        is_google = self._store.scheme == "gs"
        return spoken(
            new,
            name=_NAME,
            most_bytes=8000 if is_google else 2000,
            expires=not is_google,
            mtime=rfc3339(millis) if is_google else f"{millis // 1000}.{millis % 1000:03}",
        )

    def _said(self, new: NewObject) -> dict[str, Any]:
        said = self._spoken(new)
        headers = {_HEADERS[name]: text for name, text in said.headers.items()}
        return {**headers, "ContentType": new.content_type, "Metadata": dict(said.entries)}

    def _write(self, operation: str, only: str | None, **asked: Any) -> Any:
        condition: dict[str, str] = {}
        if only == "":
            condition = {"IfNoneMatch": "*"}
        elif only is not None:
            condition = {"IfMatch": self._generation or only.rpartition(" ")[0]}
        try:
            return self._ask(operation, **asked, **condition)
        except _ConditionUnknown:
            there = self.look()
            if only is not None and (there.identity if there else "") != only:
                raise failures.destination_changed(self.uri) from None
            return self._ask(operation, **asked)

    def _ask(self, operation: str, *, key: str | None = "", **asked: Any) -> Any:
        where = self._where if key is not None else {"Bucket": self._where["Bucket"]}
        try:
            return getattr(self._client, operation)(**where, **asked)
        except (ClientError, BotoCoreError) as error:
            # Ended on purpose, its own words are nothing to tell.
            self._checkpoint()
            raise self._wrong(error, asked) from error

    def _wrong(self, error: Exception, asked: Mapping[str, Any]) -> Exception:
        code = ""
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            is_conditional = "IfMatch" in asked or "IfNoneMatch" in asked
            if is_conditional and (
                status == 501 or code in ("NotImplemented", "UnsupportedHeader")
            ):
                return _ConditionUnknown()
            if code == "NoSuchUpload":
                return wrong.upload_gone(self.uri)
            if is_conditional and code == "NoSuchKey":
                return failures.destination_changed(self.uri)
            if code in ("ConditionalRequestConflict", "OperationAborted"):
                return PassingError("destination_busy", f"{self.uri} is being written by others.")
            if code in ("BadDigest", "InvalidPart"):
                return wrong.damaged(self.uri)
        return wrong.writing(store_error(error, self.uri, self._store.bucket), self.uri)


def _is_encrypted(answer: Mapping[str, Any]) -> bool:
    return str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
