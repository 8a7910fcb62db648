"""Requests about an account: its buckets and its key."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from b2jobs import locations
from b2jobs.account_names import AccountName
from b2jobs.requests.job import Job


class Bucket(Job):
    """Create, update, delete or list buckets."""

    kind = "bucket"

    action: Literal["create", "update", "delete", "list"]
    name: str | None = None
    type: Literal["allPrivate", "allPublic"] | None = None
    lifecycle: list[dict[str, Any]] | None = None
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

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.name is None) != (self.action == "list"):
            raise ValueError("name is needed to create, update or delete, and not used to list")
        if self.action in ("delete", "list") and (self.type or self.lifecycle is not None):
            raise ValueError("type and lifecycle go with create and update")
        return self


class Check(Job):
    """Ask what the account's key may do."""

    kind = "check"

    account: AccountName = "default"
