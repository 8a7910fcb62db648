"""Requests and results of batches."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from b2jobs import locations, patterns
from b2jobs.jobs import IfExists, Job, Priority
from b2jobs.locations import B2File, InvalidLocation, LocalPath, RootPath, StoreObject
from b2jobs.results import Result


class Batch(Job):
    """Many transfers as one job: a manifest, a prefix to a prefix, or items that stream in.

    Its items wait behind single jobs: the priority is `low` unless said otherwise. `retry`
    is the budget of each item.

    on_done: a Celery task and its queue, called once with `batch`, `state` and `summary`
        when the batch has ended.
    strict: end the batch before anything moves when any line of it cannot be done.
    ledger: a prefix (`data://ROOT/path/` or `b2://BUCKET/path/`) that takes the outcomes of
        finished items out of Redis, where they need about 70 bytes each.
    """

    kind = "batch"

    manifest: str | None = None
    source: str | None = None
    destination: str | None = None
    stream: bool = False
    include: list[str] = Field(default_factory=list)
    exclude: list[str] = Field(default_factory=list)
    if_exists: IfExists | None = None
    dry_run: bool = False
    strict: bool = False
    on_done: tuple[str, str] | None = None
    ledger: str | None = None
    account: str = "default"
    priority: Priority = "low"

    @field_validator("manifest")
    @classmethod
    def _manifest(cls, uri: str | None) -> str | None:
        return uri if uri is None else _one(uri, B2File, RootPath, LocalPath, StoreObject)

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str | None) -> str | None:
        return uri if uri is None else _prefix(uri, B2File, RootPath, LocalPath, StoreObject)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str | None) -> str | None:
        return uri if uri is None else _prefix(uri, B2File, RootPath, LocalPath)

    @field_validator("ledger")
    @classmethod
    def _ledger(cls, uri: str | None) -> str | None:
        return uri if uri is None else _prefix(uri, B2File, RootPath)

    @field_validator("include", "exclude")
    @classmethod
    def _patterns(cls, given: list[str]) -> list[str]:
        for pattern in given:
            patterns.compiled(pattern)
        return given

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.source is None) != (self.destination is None):
            raise ValueError("source and destination go together")
        ways = [self.manifest is not None, self.source is not None, self.stream]
        if sum(ways) != 1:
            raise ValueError("give a manifest, or a source and a destination prefix, not both")
        if self.source and self.destination:
            ends = [locations.parse(self.source), locations.parse(self.destination)]
            if not any(isinstance(end, B2File) for end in ends):
                raise ValueError("the source or the destination must be a b2:// prefix")
            if ends[0] == ends[1]:
                raise ValueError("source and destination are the same")
            if self.if_exists == "version" and not isinstance(ends[1], B2File):
                raise ValueError("if_exists='version' needs a b2:// destination")
        if (self.include or self.exclude) and self.source is None:
            raise ValueError("include and exclude go with a source prefix")
        return self


class Pack(Job):
    """Items of a batch that one message carries. Made by the planner, never by hand."""

    kind = "pack"

    batch: str
    number: int


class Hide(Job):
    """Hide a file: its versions stay, its name is gone from listings. Part of syncs."""

    kind = "hide"

    target: str
    account: str = "default"

    @field_validator("target")
    @classmethod
    def _target(cls, uri: str) -> str:
        return _one(uri, B2File)


class Verify(Job):
    """Compare a batch's report with what B2 lists. Its lines come as `client.verify` feeds them.

    prefix: also look for files below it that the report does not name.
    """

    kind = "verify"

    prefix: str | None = None
    account: str = "default"

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, uri: str | None) -> str | None:
        return uri if uri is None else _prefix(uri, B2File)


class ReadLedger(Job):
    """Hand over the parts of a batch's ledger that are kept outside Redis."""

    kind = "ledger"

    batch: str
    account: str = "default"


class ReadLedgerResult(Result):
    """How many files there were."""

    files: int = 0


class BatchResult(Result):
    """What a batch came to.

    items, size_bytes: planned. outcomes: how many of them are `transferred`, `unchanged`,
    `deleted`, `hidden`, `failed`, `cancelled`. moved_bytes: of the transferred. codes: the
    failures by code. For a dry run the items and bytes of each action are in `plan`, and
    `calls` and `dollars` are what it would cost. compared, planned: see `SyncResult`.
    """

    status: Literal["complete", "incomplete", "dry_run"] = "complete"
    items: int = 0
    size_bytes: int = 0
    moved_bytes: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    codes: dict[str, int] = Field(default_factory=dict)
    packs: int = 0
    plan: dict[str, Any] = Field(default_factory=dict)
    compared: dict[str, int] = Field(default_factory=dict)
    planned: list[str] = Field(default_factory=list)


class HideResult(Result):
    """A hidden file; one that was not visible is `unchanged`."""

    uri: str = ""
    file_id: str = ""
    status: Literal["hidden", "unchanged"] = "hidden"


class VerifyResult(Result):
    """How a report compares with B2: `samples` names the first differences of each sort."""

    checked: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    samples: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not (self.missing or self.different or self.extra)


def _one(uri: str, *allowed: type[locations.Location]) -> str:
    location = locations.parse(uri)
    if not isinstance(location, allowed) or getattr(location, "is_prefix", False):
        raise InvalidLocation(
            f"{uri[:120]!r} cannot stand here.",
            hint="Name one file: data://ROOT/file.csv or b2://BUCKET/file.jsonl.gz.",
        )
    return uri


def _prefix(uri: str, *allowed: type[locations.Location]) -> str:
    location = locations.parse(uri)
    if not isinstance(location, allowed) or not getattr(location, "is_prefix", False):
        raise InvalidLocation(
            f"{uri[:120]!r} is not a prefix that can stand here.",
            hint="End it with '/': data://ROOT/folder/ or b2://BUCKET/folder/.",
        )
    return uri
