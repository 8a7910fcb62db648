"""Requests that act on files which are there already, without moving their bytes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from b2jobs.account_names import AccountName
from b2jobs.locations import B2File, B2Version
from b2jobs.requests.job import INNER, Job
from b2jobs.requests.places import Located, one_file, one_of
from b2jobs.requests.protection import (
    ForSeconds,
    RetentionMode,
    UntilTime,
    check_retention,
)


class Delete(Job):
    """Remove a file or all below a prefix.

    versions: `latest` removes the newest version, `all` every one, or the id of one version.
    bypass_governance: remove what is retained in governance mode too.
    shown: only for the items of batches: as what the version of that id was listed.
    """

    kind = "delete"

    target: str
    versions: Annotated[str, Field(min_length=1)] = "latest"
    bypass_governance: bool = False
    shown: Annotated[Literal["file", "unfinished"] | None, INNER] = None
    account: AccountName = "default"

    @field_validator("target")
    @classmethod
    def _target(cls, uri: str) -> str:
        return one_of(uri, B2File, B2Version)

    target_location: ClassVar = Located[B2File | B2Version]("target")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        target = self.target_location
        if self.versions not in ("latest", "all"):
            if not isinstance(target, B2File) or target.is_prefix:
                raise ValueError("versions may name one id only for a single file b2://BUCKET/NAME")
        elif isinstance(target, B2Version) and self.versions == "all":
            raise ValueError("b2id:// names one version; versions='all' needs b2://BUCKET/NAME")
        return self


class _OneName(Job):
    """About the versions that one name has."""

    target: str
    account: AccountName = "default"

    @field_validator("target")
    @classmethod
    def _target(cls, uri: str) -> str:
        return one_file(uri, B2File)

    target_location: ClassVar = Located[B2File]("target")


class _OneVersion(Job):
    """About a file's newest version, or the one of an id."""

    target: str
    account: AccountName = "default"

    @field_validator("target")
    @classmethod
    def _target(cls, uri: str) -> str:
        return one_file(uri, B2File, B2Version)

    target_location: ClassVar = Located[B2File | B2Version]("target")


class Hide(_OneName):
    """Hide a file: its versions stay, its name is gone from listings. Needs no `deleteFiles`."""

    kind = "hide"


class Unhide(_OneName):
    """Show a hidden file again: its hide marker is removed."""

    kind = "unhide"


class Retention(_OneVersion):
    """Change until when nobody may delete a file, or one version of it.

    retention, retain_until, retain_for: see `Attributes`; `none` ends it.
    bypass_governance: shorten or end a retention in governance mode.
    """

    kind = "retention"

    retention: RetentionMode
    retain_until: UntilTime | None = None
    retain_for: ForSeconds | None = None
    bypass_governance: bool = False

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_retention(self.retention, self.retain_until, self.retain_for)
        return self


class Hold(_OneVersion):
    """Put a file, or one version of it, under a legal hold, or lift it (*on* false)."""

    kind = "hold"

    on: bool = True


class Remove(Job):
    """Remove one local file, an item of a sync. Made by the planner, never by hand.

    identity: of the file that was compared; another one under its name stays.
    top: the folder whose empty folders below it go with the file.
    encoded: the paths of both are written as the names that their files have in B2.
    """

    kind = "remove"

    target: str
    identity: str
    top: str
    encoded: bool = False
    account: AccountName = "default"


class Share(Job):
    """Mint a URL that opens a private file for a while."""

    kind = "share"

    source: str
    seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    account: AccountName = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return one_file(uri, B2File)

    source_location: ClassVar = Located[B2File]("source")
