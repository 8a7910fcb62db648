"""Create, update, show, delete and list buckets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from b2jobs import locations
from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs.requests import Bucket
from b2jobs.results import BucketResult
from b2jobs_worker.attempt import Anything, Attempt
from b2jobs_worker.b2 import bucket_settings
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.secrets import SecretsFile, secrets_file
from b2jobs_worker.transfer import notification_secrets
from b2jobs_worker.transfer.context import Context, Usage

DEFAULT_TYPE = "allPrivate"
MOST_TRIES = 5
"""So often a change that names no revision is tried again on top of somebody else's."""
_MARK = "bucket"

Document = dict[str, Any]
Rules = list[dict[str, Any]]


def bucket(request: Bucket, attempt: Attempt, context: Context) -> BucketResult:
    """Do the request's action. Doing it again changes nothing and says "unchanged".

    Raises:
        CallerError: `bucket_name_taken` by another account, or with other settings here;
            `bucket_not_found` for an update; `bucket_not_empty`; `conflict` when the bucket has
            not the revision that was named; `secret_unknown`.
        OperatorError: `capability_missing`.
        PassingError: `conflict` when others keep changing the bucket.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    attempt.guard()
    if request.action == "list":
        status, found = "listed", [_described(each) for each in client.list_buckets()]
    else:
        assert request.name is not None
        one = _OneBucket(
            request.name, request, attempt, client, secrets_file(context.settings.secrets_file)
        )
        act: dict[str, Callable[[], str]] = {
            "create": one.create,
            "update": one.update,
            "show": one.show,
            "delete": one.delete,
        }
        status, found = act[request.action](), one.described()
    return BucketResult(
        **usage.fields("bucket"), action=request.action, status=status, buckets=found
    )


class _OneBucket:
    """One bucket: as the request wants it, and as B2 has it."""

    def __init__(
        self, name: str, request: Bucket, attempt: Attempt, client: B2Client, secrets: SecretsFile
    ) -> None:
        self._name = name
        self._request = request
        self._attempt = attempt
        self._client = client
        self._secrets = secrets
        self._wanted = request.wanted()
        self._document: Document | None = None
        self._rules: Rules | None = None

    def create(self) -> str:
        """Make it. What B2 does not take when a bucket is made, it is given right after."""
        self._permitted()
        asked = {name: value for name, value in self._wanted.items() if name != "retention"}
        retention = self._wanted.get("retention")
        rules = self._written_out([])
        begun = self._attempt.journal.load().get(_MARK) == "create"
        if not begun:
            self._attempt.journal.record({_MARK: "create"})
        made = True
        try:
            self._document = self._client.create_bucket(
                self._name,
                {"type": DEFAULT_TYPE, **asked},
                in_doubt=lambda: self._that_agrees(asked),
            )
        except JobError as error:
            if error.code != "bucket_name_taken":
                raise
            there = self._look()
            if there is None:
                raise
            if differs := bucket_settings.differing(bucket_settings.read(there), asked):
                raise self._taken(differs) from None
            made = begun
        if retention not in (None, "none") or rules:
            made = self._complete({"retention": retention} if retention else {}, rules, made)
        return "created" if made else "unchanged"

    def _complete(self, settings: Document, rules: Rules | None, made: bool) -> bool:
        """Give a bucket that is made by now the rest; one that was there must have it."""
        assert self._document is not None
        differs = bucket_settings.differing(bucket_settings.read(self._document), settings)
        other_rules = rules is not None and self._differ(rules)
        if not made and (differs or other_rules):
            raise self._taken([*differs, *(["notifications"] if other_rules else [])])
        if differs:
            self._change(settings, int(self._document["revision"]))
        if rules is not None and other_rules:
            self._set_rules(rules)
        return made

    def update(self) -> str:
        """Change what differs, as long as nobody else does so at the same time."""
        self._permitted()
        asked = self._request.if_revision
        for _ in range(MOST_TRIES):
            there = self._there()
            revision = int(there["revision"])
            begun = self._attempt.journal.load().get(_MARK) == str(revision - 1)
            found = bucket_settings.read(there)
            self._check_lock(found)
            differs = bucket_settings.differing(found, self._wanted)
            rules = self._wanted_rules()
            other_rules = rules is not None and self._differ(rules)
            if not differs and not other_rules:
                return "updated" if begun else "unchanged"
            is_ours = begun and asked == revision - 1
            if asked is not None and asked != revision and not is_ours:
                raise self._conflict(asked, revision)
            try:
                if differs or (asked is not None and not is_ours):
                    # Notification rules have no revision: with one that is named, taking the
                    # bucket's next keeps a second writer out.
                    wanted = self._wanted or {"type": there["bucketType"]}
                    self._attempt.journal.record({_MARK: str(revision)})
                    self._change(wanted, revision)
            except JobError as error:
                if error.code != "conflict":
                    raise
                if asked is not None:
                    raise self._conflict(asked, None) from error
                continue
            if rules is not None and other_rules:
                self._set_rules(rules)
            return "updated"
        raise PassingError("conflict", f"Others keep changing the bucket {self._name!r}.")

    def show(self) -> str:
        self._there()
        if self._client.may("readBucketNotifications"):
            self._rules = self._client.notification_rules(self._bucket())
        return "shown"

    def delete(self) -> str:
        if self._look() is None:
            return "unchanged"
        return "deleted" if self._client.delete_bucket(self._bucket()) else "unchanged"

    def described(self) -> list[Document]:
        if self._document is None:
            return []
        described = _described(self._document)
        if self._rules is not None:
            shown = notification_secrets.named(self._rules, self._secrets)
            described["notifications"] = shown
        elif self._request.action == "show":
            described["unreadable"] = [*described.get("unreadable", ()), "notifications"]
        return [described]

    def _look(self) -> Document | None:
        there = self._client.list_buckets(self._name)
        self._document = there[0] if there else None
        return self._document

    def _there(self) -> Document:
        there = self._look()
        if there is None:
            raise CallerError(
                "bucket_not_found",
                f"There is no bucket {self._name!r} in this account.",
                hint="Create it first, or correct the name.",
            )
        return there

    def _bucket(self) -> BucketName:
        assert self._document is not None
        return BucketName(self._document["bucketId"], self._document["bucketName"])

    def _that_agrees(self, settings: Document) -> Document | None:
        there = self._look()
        if there is None or bucket_settings.differing(bucket_settings.read(there), settings):
            return None
        return there

    def _change(self, settings: Document, revision: int) -> None:
        def done() -> Document | None:
            there = self._that_agrees(settings)
            return there if there is not None and int(there["revision"]) > revision else None

        self._document = self._client.update_bucket(
            self._bucket(), settings, if_revision=revision, in_doubt=done
        )

    def _wanted_rules(self) -> Rules | None:
        """The notification rules that are asked for, written out."""
        if self._request.notifications is None:
            return None
        self._rules = self._client.notification_rules(self._bucket())
        return self._written_out(self._rules)

    def _written_out(self, there: Rules) -> Rules | None:
        rules = self._request.notifications
        if rules is None:
            return None
        return notification_secrets.written_out(rules, there, self._secrets)

    def _differ(self, rules: Rules) -> bool:
        if self._rules is None:
            self._rules = self._client.notification_rules(self._bucket())
        comparable = bucket_settings.comparable_rules
        return comparable(self._rules) != comparable(rules)

    def _set_rules(self, rules: Rules) -> None:
        try:
            self._client.set_notification_rules(self._bucket(), rules)
        except JobError as error:
            for secret in notification_secrets.values(rules):
                error.message = error.message.replace(secret, "***")
            error.args = (error.message,)
            error.__cause__ = error.__context__ = None  # they may quote one too
            raise
        self._rules = rules

    def _check_lock(self, found: Document) -> None:
        retention = self._wanted.get("retention")
        if found["lock"] is False and retention not in (None, "none") and not self._request.lock:
            raise CallerError(
                "bad_request",
                f"The bucket {self._name!r} has no Object Lock, which the retention {retention} "
                "needs.",
                hint="Switch it on too: lock=True, or --lock. It cannot be switched off again.",
            )

    def _permitted(self) -> None:
        """Ask the policy for the places that the rules name: whoever sets them, writes there."""
        if isinstance(self._attempt.permit, Anything):
            return
        for rule in self._request.notifications or ():
            self._attempt.permit.tell("", rule["targetConfiguration"]["url"])
        source = (self._request.replication or {}).get("asReplicationSource") or {}
        for rule in source.get("replicationRules", ()):
            name = self._client.bucket_named(rule["destinationBucketId"])
            where = locations.parse(f"b2://{name}/{rule['fileNamePrefix']}")
            self._attempt.permit.place(where, is_written=True)

    def _taken(self, differs: list[str]) -> CallerError:
        return CallerError(
            "bucket_name_taken",
            f"The bucket {self._name!r} is there already, with another {', '.join(differs)}.",
            hint="Change it with `b2jobs bucket update`, or choose another name.",
        )

    def _conflict(self, asked: int, found: int | None) -> CallerError:
        has = "has another revision by now" if found is None else f"has revision {found}"
        return CallerError(
            "conflict",
            f"The bucket {self._name!r} {has}, not {asked}: somebody has changed it. Nothing was "
            "changed.",
            hint="Look at it with `b2jobs bucket show` and decide again.",
        )


def _described(document: Document) -> Document:
    settings = bucket_settings.read(document)
    unreadable = [name for name, value in settings.items() if value is None]
    return {
        "name": document["bucketName"],
        "id": document["bucketId"],
        "revision": document.get("revision"),
        **settings,
        **({"unreadable": unreadable} if unreadable else {}),
    }
