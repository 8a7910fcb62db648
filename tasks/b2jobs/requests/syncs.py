"""Requests of syncs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from b2jobs.account_names import AccountName
from b2jobs.locations import B2File, LocalPath, RootPath, StoreObject
from b2jobs.requests.attributes import AllAttributes, refuse_attributes
from b2jobs.requests.choosing import Choosing
from b2jobs.requests.job import MostDollars, Priority
from b2jobs.requests.places import (
    Located,
    check_names,
    check_source_account,
    folder,
    lie_in_each_other,
)
from b2jobs.requests.protection import KeyName


class Sync(Choosing, AllAttributes):
    """Make the destination like the source: up, down, or inside B2. One of them is in B2.

    delete: what becomes of files the source has not: `keep` them, `hide` them (in B2), or
        `remove` them with all their old versions.
    keep_days: hide them now, and remove what has not been visible for so many days.
    compare: by `modtime`, `size`, `sha1`, or `none` (by name only).
    newer: where the destination is the newer one, comparing by time: `fail` the file, `skip`
        it, or `replace` it.
    symlinks: `follow` those that stay in the root, or `skip` all.
    max_cost: see `Batch`.
    max_delete: the largest share of the destination's files that may be hidden or removed;
        where it would be more, nothing is. 1 allows everything.
    include, exclude, min_age, max_age, min_size, max_size: see `Choosing`. A name takes part as
        its file in the source does; where there is none, as the destination's does.
    overlap: while a sync of the same pair runs, `wait` for its end, `skip`, or `replace` it.
    source_account: whose key reads the source, where both sides are in B2 and it is not that of
        *account*, which writes.
    names: `report` those that B2 or the disk refuses, or `encode` them: write them another way
        that can be read back (docs/names.md), between a local folder and B2.
    dry_run: tell what would be done, and what it would cost.
    customer_key: reads sources in B2 that are encrypted with it (SSE-C); see `Copy`.

    Attributes hold for what it uploads or copies; a file that counts as the same is not made
    anew for them.
    """

    kind = "sync"

    source: str
    destination: str
    delete: Literal["keep", "hide", "remove"] = "keep"
    keep_days: Annotated[float, Field(gt=0)] | None = None
    compare: Literal["modtime", "size", "sha1", "none"] = "modtime"
    newer: Literal["fail", "skip", "replace"] = "fail"
    symlinks: Literal["follow", "skip"] = "follow"
    max_cost: MostDollars | None = None
    max_delete: Annotated[float, Field(ge=0, le=1)] = 0.5
    allow_empty_source: bool = False
    overlap: Literal["wait", "skip", "replace"] = "wait"
    names: Literal["report", "encode"] = "report"
    dry_run: bool = False
    customer_key: KeyName | None = None
    account: AccountName = "default"
    source_account: AccountName | None = None
    priority: Priority = "low"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return folder(uri, B2File, RootPath, LocalPath, StoreObject)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str) -> str:
        return folder(uri, B2File, RootPath, LocalPath, StoreObject)

    source_location: ClassVar = Located[B2File | RootPath | LocalPath | StoreObject]("source")

    destination_location: ClassVar = Located[B2File | RootPath | LocalPath | StoreObject](
        "destination"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        source, destination = self.source_location, self.destination_location
        if not isinstance(source, B2File) and not isinstance(destination, B2File):
            raise ValueError("the source or the destination must be in B2 (b2://BUCKET/...)")
        if lie_in_each_other(self.source, self.destination):
            raise ValueError("source and destination must not lie in each other")
        check_names(self.names, source, destination)
        if not isinstance(destination, B2File):
            refuse_attributes(self)
            if self.delete == "hide":
                raise ValueError("only files in B2 can be hidden; delete may be keep or remove")
            if self.keep_days is not None:
                raise ValueError("keep_days needs old versions, which only B2 has")
        check_source_account(self, source, destination)
        if self.keep_days is not None and self.delete == "hide":
            raise ValueError("keep_days hides and later removes; leave delete out")
        return self
