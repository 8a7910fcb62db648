"""Calls about buckets, and tokens that open what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from b2jobs_worker.b2 import bucket_settings, errors
from b2jobs_worker.b2.accounts import Account, BucketName
from b2jobs_worker.b2.bucket_settings import CAPABILITIES, Settings
from b2jobs_worker.b2.calls import Calls
from b2jobs_worker.b2.versions import quoted


class BucketCalls(Calls):
    """Buckets by name; see `Calls` for what every call does."""

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
        with account.asking_for_buckets:  # one thread asks, the others read its answer
            known = account.known_bucket(name)
            if known is not None:
                return known
            for document in self.list_buckets(name):
                bucket = BucketName(document["bucketId"], document["bucketName"])
                account.remember_bucket(bucket)
                return bucket
        raise errors.bucket_not_found(name)

    def url(self, bucket: str, name: str) -> str:
        """The file's stable address; it opens by itself in a public bucket only."""
        return f"{self.account().session.info.allows.download_url}/file/{bucket}/{quoted(name)}"

    def download_authorization(self, bucket: BucketName, prefix: str, seconds: int) -> str:
        """A token that opens files of *bucket* whose names begin with *prefix*."""

        def mint(account: Account) -> str:
            document = account.session.get_download_authorization(bucket.bucket_id, prefix, seconds)
            return str(document["authorizationToken"])

        return self.call(
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

        return self.call("list_buckets", look, needs=("listBuckets",))

    def bucket_named(self, bucket_id: str) -> str:
        """The name of the bucket with this id; the id, where the account does not have it."""

        def look(account: Account) -> str:
            document = account.session.list_buckets(
                account.session.info.get_account_id(), bucket_id=bucket_id
            )
            return next((str(each["bucketName"]) for each in document["buckets"]), bucket_id)

        return self.call("list_buckets", look, needs=("listBuckets",))

    def create_bucket(
        self,
        name: str,
        settings: Settings,
        *,
        in_doubt: Callable[[], dict[str, Any] | None],
    ) -> dict[str, Any]:
        """Make a bucket. *in_doubt* finds the one that a try without an answer has made."""

        def create(account: Account) -> dict[str, Any]:
            document: dict[str, Any] = account.session.create_bucket(
                account.session.info.get_account_id(),
                name,
                **bucket_settings.as_arguments(settings),
            )
            return document

        needs = ("writeBuckets", *_needed(settings))
        return self.call("create_bucket", create, needs=needs, in_doubt=in_doubt)

    def update_bucket(
        self,
        bucket: BucketName,
        settings: Settings,
        *,
        if_revision: int,
        in_doubt: Callable[[], dict[str, Any] | None],
    ) -> dict[str, Any]:
        """Change *settings* while the bucket has *if_revision*.

        Raises:
            PassingError: `conflict`, somebody has changed the bucket since.
        """

        def update(account: Account) -> dict[str, Any]:
            document: dict[str, Any] = account.session.update_bucket(
                account.session.info.get_account_id(),
                bucket.bucket_id,
                if_revision_is=if_revision,
                **bucket_settings.as_arguments(settings),
            )
            return document

        needs = ("writeBuckets", *_needed(settings))
        return self.call(
            "update_bucket", update, needs=needs, bucket=bucket.name, in_doubt=in_doubt
        )

    def notification_rules(self, bucket: BucketName) -> list[dict[str, Any]]:
        """The bucket's event notification rules, with their secrets as they are."""

        def look(account: Account) -> list[dict[str, Any]]:
            document = account.session.get_bucket_notification_rules(bucket.bucket_id)
            rules: list[dict[str, Any]] = (
                document if isinstance(document, list) else document["eventNotificationRules"]
            )
            return rules

        needs = ("readBucketNotifications",)
        return self.call("get_bucket_notification_rules", look, needs=needs, bucket=bucket.name)

    def set_notification_rules(self, bucket: BucketName, rules: list[dict[str, Any]]) -> None:
        """Replace the bucket's event notification rules; setting the same again does no harm."""

        def set_them(account: Account) -> None:
            account.session.set_bucket_notification_rules(bucket.bucket_id, rules)

        needs = ("writeBucketNotifications",)
        self.call("set_bucket_notification_rules", set_them, needs=needs, bucket=bucket.name)

    def delete_bucket(self, bucket: BucketName) -> bool:
        """Remove an empty bucket; false when it is not there (any more)."""

        def delete(account: Account) -> bool:
            account.session.delete_bucket(account.session.info.get_account_id(), bucket.bucket_id)
            return True

        try:
            return self.call(
                "delete_bucket", delete, needs=("deleteBuckets",), absent=lambda doubted: doubted
            )
        finally:
            self.account().forget_bucket(bucket.name)


def _needed(settings: Settings) -> set[str]:
    return {CAPABILITIES[name] for name in settings if name in CAPABILITIES}
