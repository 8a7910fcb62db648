"""Calls that copy inside B2 and remove."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from b2sdk.v3 import MetadataDirectiveMode

from b2jobs.errors import OperatorError
from b2jobs_worker.b2 import errors, versions
from b2jobs_worker.b2.accounts import Account, BucketName
from b2jobs_worker.b2.listings import ListingCalls
from b2jobs_worker.b2.protection import NOTHING, Encryption, Protection, setting
from b2jobs_worker.b2.versions import FileVersion


class CopyCalls(ListingCalls):
    """Copying and removing; see `Calls` for what every call does."""

    def copy_file(
        self,
        source_id: str,
        bucket: BucketName,
        name: str,
        *,
        content_type: str | None,
        info: Mapping[str, str] | None,
        in_doubt: Callable[[], FileVersion | None],
        source_key: Encryption | None = None,
        protection: Protection = NOTHING,
    ) -> FileVersion:
        """Copy up to 5 GB inside B2. Metadata is replaced when *content_type* is given.

        *source_key* reads a source that is encrypted with it.
        """
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
                source_server_side_encryption=setting(source_key),
                **protection.arguments("destination_server_side_encryption"),
            )
            return versions.from_json(document)

        with errors.naming_key("The source", source_key):
            return self.call(
                "copy_file",
                copy,
                needs=("readFiles", "writeFiles"),
                bucket=bucket.name,
                in_doubt=in_doubt,
            )

    def copy_part(
        self,
        source_id: str,
        file_id: str,
        number: int,
        first: int,
        last: int,
        *,
        source_key: Encryption | None = None,
        encryption: Encryption | None = None,
    ) -> str:
        """Copy bytes *first* to *last* (inclusive) as a part; returns its SHA-1.

        *source_key* reads the source; *encryption* is that of the file, where it is with a
        customer's key.
        """

        def copy(account: Account) -> str:
            document = account.session.copy_part(
                *(source_id, file_id, number),
                bytes_range=(first, last),
                source_server_side_encryption=setting(source_key),
                destination_server_side_encryption=setting(encryption),
            )
            return str(document["contentSha1"])

        with errors.naming_key("The source", source_key or encryption):
            return self.call("copy_part", copy, needs=("readFiles", "writeFiles"))

    def delete_version(self, file_id: str, name: str, *, bypass_governance: bool = False) -> bool:
        """Remove one version; false when it is not there (any more).

        *bypass_governance*: also one that is retained in governance mode.

        Raises:
            OperatorError: `file_locked`.
        """

        def delete(account: Account) -> bool:
            account.session.delete_file_version(file_id, name, bypass_governance)
            return True

        try:
            return self.call(
                *("delete_file_version", delete),
                needs=("deleteFiles",),
                absent=lambda doubted: doubted,
            )
        except OperatorError as error:
            if error.code in ("unauthorized", "access_denied") and self.may("readFiles"):
                version = self.version(file_id)
                if version is not None and version.is_locked:
                    raise errors.file_locked(version) from error
            raise

    def hide_file(self, bucket: BucketName, name: str) -> FileVersion | None:
        """Put a hide marker over *name*; None when it is not visible. Class A."""

        def hide(account: Account) -> FileVersion | None:
            return versions.from_json(account.session.hide_file(bucket.bucket_id, name))

        def hidden(doubted: bool) -> FileVersion | None:
            """An earlier try's marker, where it is that one and may be looked up."""
            if not doubted or "listFiles" not in self.account().capabilities:
                return None
            newest = next(self.versions_of(bucket, name), None)
            return newest if newest is not None and newest.action == "hide" else None

        return self.call(
            "hide_file", hide, needs=("writeFiles",), bucket=bucket.name, absent=hidden
        )
