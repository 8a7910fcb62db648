"""Requests about an account: its buckets and its key."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from b2jobs import locations
from b2jobs.account_names import AccountName
from b2jobs.requests import bucket_rules
from b2jobs.requests.job import Job


class Bucket(Job):
    """Create, update, show, delete or list buckets.

    What is not named stays as it is; what is named is replaced as a whole.

    type: `private` or `public`.
    lifecycle, cors, replication, notifications: B2's rules; empty ones remove what is there.
    encryption: of files that say nothing else: `SSE-B2` or `none`.
    lock: true switches Object Lock on, for good.
    retention: of files that say nothing else, in a bucket with the lock: `governance:30d`.
    info: the bucket's own info, such as `cache-control`.
    if_revision: change the bucket only while `show` gives this revision.
    """

    kind = "bucket"
    SETTINGS: ClassVar[tuple[str, ...]] = (
        "type",
        "lifecycle",
        "encryption",
        "lock",
        "retention",
        "cors",
        "replication",
        "info",
    )
    """The fields that B2 keeps in the bucket's own document, under one revision."""

    action: Literal["create", "update", "show", "delete", "list"]
    name: str | None = None
    type: Literal["allPrivate", "allPublic"] | None = None
    lifecycle: list[dict[str, Any]] | None = None
    encryption: Literal["SSE-B2", "none"] | None = None
    lock: bool | None = None
    retention: str | None = None
    cors: list[dict[str, Any]] | None = None
    replication: dict[str, Any] | None = None
    notifications: list[dict[str, Any]] | None = None
    info: dict[str, str] | None = None
    if_revision: int | None = Field(None, ge=0)
    account: AccountName = "default"

    @field_validator("name")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        if name is not None:
            locations.check_bucket_name(name)
        return name

    @field_validator("type", mode="before")
    @classmethod
    def _type(cls, value: object) -> object:
        return {"private": "allPrivate", "public": "allPublic"}.get(str(value), value)

    @field_validator("lifecycle", mode="before")
    @classmethod
    def _lifecycle(cls, rules: object) -> object:
        return rules if rules is None else bucket_rules.lifecycle(rules)

    @field_validator("lock")
    @classmethod
    def _lock(cls, lock: bool | None) -> bool | None:
        if lock is False:
            raise ValueError("a bucket's Object Lock cannot be switched off; leave lock out")
        return lock

    @field_validator("retention")
    @classmethod
    def _retention(cls, text: str | None) -> str | None:
        return text if text is None else bucket_rules.retention(text)

    @field_validator("cors", mode="before")
    @classmethod
    def _cors(cls, rules: object) -> object:
        return rules if rules is None else bucket_rules.cors(rules)

    @field_validator("replication", mode="before")
    @classmethod
    def _replication(cls, given: object) -> object:
        return given if given is None else bucket_rules.replication(given)

    @field_validator("notifications", mode="before")
    @classmethod
    def _notifications(cls, rules: object) -> object:
        return rules if rules is None else bucket_rules.notifications(rules)

    @field_validator("info")
    @classmethod
    def _info(cls, given: dict[str, str] | None) -> dict[str, str] | None:
        return given if given is None else bucket_rules.info(given)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.name is None) != (self.action == "list"):
            raise ValueError(
                "name is needed to create, update, show or delete, and not used to list"
            )
        given = [*self.wanted(), *(["notifications"] if self.notifications is not None else [])]
        if given and self.action not in ("create", "update"):
            raise ValueError(f"{', '.join(given)} go with create and update")
        if self.action == "update" and not given:
            raise ValueError("update needs a setting to change, such as type or lifecycle")
        if self.if_revision is not None and self.action != "update":
            raise ValueError("if_revision goes with update")
        if self.action == "create":
            if self.retention not in (None, "none") and not self.lock:
                raise ValueError("retention needs lock: only a bucket with Object Lock has one")
            if self.notifications and bucket_rules.KEPT in repr(self.notifications):
                raise ValueError("notifications of a new bucket have no secret *** to keep")
        return self

    def wanted(self) -> dict[str, Any]:
        """The settings that are named, without the notification rules."""
        named = {name: getattr(self, name) for name in self.SETTINGS}
        return {name: value for name, value in named.items() if value is not None}


class Check(Job):
    """Ask what the account's key may do."""

    kind = "check"

    account: AccountName = "default"
