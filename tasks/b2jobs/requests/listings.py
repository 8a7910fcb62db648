"""Requests that look at what is in B2 and change nothing."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from b2jobs.account_names import AccountName
from b2jobs.locations import B2File
from b2jobs.requests.choosing import Choosing
from b2jobs.requests.places import Located, one_of


class _Look(Choosing):
    """At a prefix, or at the file of a name."""

    target: str
    account: AccountName = "default"

    @field_validator("target")
    @classmethod
    def _target(cls, uri: str) -> str:
        return one_of(uri, B2File)

    target_location: ClassVar = Located[B2File]("target")


class List(_Look):
    """List a prefix, or the file of a name; the lines come in pages while it runs.

    recursive: all below; else what is further down stands together, a line a folder.
    versions: also old versions, hide markers and large files that were begun and not finished.
    limit: end after so many lines, and put them into the result instead of into pages.
    """

    kind = "list"

    recursive: bool = False
    versions: bool = False
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None


class DiskUsage(_Look):
    """Add up what is below a prefix, old versions included. Ages and sizes are of each version."""

    kind = "du"
