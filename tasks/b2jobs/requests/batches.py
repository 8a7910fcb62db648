"""Requests of batches."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from b2jobs.account_names import AccountName
from b2jobs.locations import B2File, LocalPath, RootPath, StoreObject
from b2jobs.requests import on_done
from b2jobs.requests.attributes import AllAttributes, refuse_attributes
from b2jobs.requests.choosing import Choosing
from b2jobs.requests.job import INNER, IfExists, Job, MostDollars, Priority
from b2jobs.requests.places import (
    Located,
    check_names,
    check_source_account,
    lie_in_each_other,
    one_file,
    prefix,
)
from b2jobs.requests.protection import KeyName


class Batch(Choosing, AllAttributes):
    """Many transfers as one job: a manifest, a prefix to a prefix, or items that stream in.
    Or the removal of what is below a prefix.

    Its items wait behind single jobs: the priority is `low` unless said otherwise. `retry`
    is the budget of each item. Attributes hold for what it makes in B2, where a line does not
    say otherwise.

    on_done: as of any job; given as a task and its queue, the task is called with `batch`,
        `state` and `summary`.
    target, versions: remove what is below this prefix: the newest version of each name, or with
        `all` every one, hide markers and unfinished large files too.
    bypass_governance: with a target, remove what is retained in governance mode too.
    include, exclude, min_age, max_age, min_size, max_size: see `Choosing`; of a source prefix, or
        of `target`, where ages are told from the upload.
    max_cost: dollars for calls of B2. A batch whose dry run says more moves nothing, one that has
        used more begins nothing more: it is paused, and goes on with a higher one (`resume`).
    source_account: whose key reads what is copied inside B2, where it is not that of *account*.
    names: of a source prefix: see `Sync`.
    strict: end the batch before anything moves when any line of it cannot be done.
    ledger: a prefix (`data://ROOT/path/`, `b2://BUCKET/path/`, `s3://...`) that takes the
        outcomes of finished items out of Redis, where they need about 70 bytes each.
    customer_key: reads sources in B2 that are encrypted with it (SSE-C); see `Copy`.
    """

    kind = "batch"

    manifest: str | None = None
    source: str | None = None
    destination: str | None = None
    stream: Annotated[bool, INNER] = False
    target: str | None = None
    versions: Literal["latest", "all"] | None = None
    bypass_governance: bool = False
    if_exists: IfExists | None = None
    names: Literal["report", "encode"] = "report"
    dry_run: bool = False
    max_cost: MostDollars | None = None
    strict: bool = False
    ledger: str | None = None
    customer_key: KeyName | None = None
    account: AccountName = "default"
    source_account: AccountName | None = None
    priority: Priority = "low"

    @field_validator("on_done", mode="before")
    @classmethod
    def _task_and_queue(cls, given: Any) -> Any:
        if not on_done.is_pair(given):
            return given
        return [{"task": given[0], "queue": given[1], "gives": "batch"}]

    @field_validator("manifest")
    @classmethod
    def _manifest(cls, uri: str | None) -> str | None:
        return uri if uri is None else one_file(uri, B2File, RootPath, LocalPath, StoreObject)

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str | None) -> str | None:
        return uri if uri is None else prefix(uri, B2File, RootPath, LocalPath, StoreObject)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str | None) -> str | None:
        return uri if uri is None else prefix(uri, B2File, RootPath, LocalPath, StoreObject)

    @field_validator("target")
    @classmethod
    def _target(cls, uri: str | None) -> str | None:
        return uri if uri is None else prefix(uri, B2File)

    @field_validator("ledger")
    @classmethod
    def _ledger(cls, uri: str | None) -> str | None:
        return uri if uri is None else prefix(uri, B2File, RootPath, StoreObject)

    source_location: ClassVar = Located[B2File | RootPath | LocalPath | StoreObject]("source")
    destination_location: ClassVar = Located[B2File | RootPath | LocalPath | StoreObject](
        "destination"
    )
    target_location: ClassVar = Located[B2File]("target")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.source is None) != (self.destination is None):
            raise ValueError("source and destination go together")
        places = (self.manifest, self.source, self.target)
        ways = [self.stream, *(place is not None for place in places)]
        if sum(ways) != 1:
            raise ValueError(
                "give a manifest, a source and a destination prefix, or a target to remove, and "
                "only one of them"
            )
        if self.target is not None:
            self._removes(self.target)
        elif self.versions is not None or self.bypass_governance:
            name = "bypass_governance" if self.versions is None else "versions"
            raise ValueError(f"{name} goes with a target, whose files are removed")
        if self.source and self.destination:
            source, destination = self.source_location, self.destination_location
            if not isinstance(source, B2File) and not isinstance(destination, B2File):
                raise ValueError("the source or the destination must be a b2:// prefix")
            if lie_in_each_other(self.source, self.destination):
                raise ValueError("source and destination must not lie in each other")
            if self.ledger and self.ledger.startswith(self.source):
                raise ValueError("the ledger must not lie in the source: it would be moved too")
            if self.if_exists == "version" and not isinstance(destination, B2File):
                raise ValueError("if_exists='version' needs a b2:// destination")
            if not isinstance(destination, B2File):
                refuse_attributes(self)
            check_source_account(self, source, destination)
            check_names(self.names, source, destination)
        elif self.names != "report":
            raise ValueError("names goes with a source prefix")
        if self.chooses and self.source is None and self.target is None:
            raise ValueError(
                "include, exclude and what is said of age and size go with a source prefix"
            )
        return self

    def _removes(self, target: str) -> None:
        """Refuse what has no meaning where files are removed."""
        if self.ledger and self.ledger.startswith(target):
            raise ValueError("the ledger must not lie in the target: it would be removed too")
        if self.if_exists is not None:
            raise ValueError("if_exists has no meaning where files are removed")
        for name in self.attributes():
            raise ValueError(f"{name} has no meaning where files are removed")


class Pack(Job):
    """Items of a batch that one message carries. Made by the planner, never by hand."""

    kind = "pack"

    batch: str
    number: int


class Verify(Job):
    """Compare a batch's report with what B2 lists. Its lines come as `client.verify` feeds them.

    prefix: also look for files below it that the report does not name.
    """

    kind = "verify"

    prefix: str | None = None
    account: AccountName = "default"

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, uri: str | None) -> str | None:
        return uri if uri is None else prefix(uri, B2File)


class ReadLedger(Job):
    """Hand over the parts of a batch's ledger that are kept outside Redis."""

    kind = "ledger"

    batch: str
    account: AccountName = "default"
