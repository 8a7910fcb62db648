"""Requests: what may be asked, and how it looks as JSON. What comes back is in `results`.

A request is validated when it is submitted and again on the worker, because a plain
`send_task` skips the first. Unknown fields are refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from b2jobs import locations
from b2jobs.locations import (
    B2File,
    B2Version,
    InlineData,
    InvalidLocation,
    LocalPath,
    Location,
    RootPath,
    StoreObject,
    WebFile,
)

Priority = Literal["high", "normal", "low"]
IfExists = Literal["version", "skip", "fail", "replace"]
State = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})
DEFAULT_RETRY_SECONDS = 24 * 3600.0

_INFO_KEY = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,50}\Z")
_RANGE = re.compile(r"(\d+)-(\d*)\Z")
_INFO_LIMIT = 8  # B2 allows 10; the job's tag and the source's modification time take two


class Job(BaseModel):
    """One request. Subclasses name their `kind`; the options here are common to all.

    key: the same key gives the same job, however often it is submitted.
    retry: for how many seconds from the first attempt failures that can heal are tried again.
    expires: seconds from submitting after which the job is no longer started.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = ""

    key: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    priority: Priority = "normal"
    retry: Annotated[float, Field(ge=0)] = DEFAULT_RETRY_SECONDS
    expires: Annotated[float, Field(gt=0)] | None = None

    def arguments(self) -> dict[str, Any]:
        """The request as keyword arguments, without those left at their default."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Upload(Job):
    """Put one file into a bucket.

    hash_first: read a file that is sent in parts once more beforehand, so that its info has
        `large_file_sha1`, by which other tools and later syncs know its content.
    """

    kind = "upload"

    source: str
    destination: str
    if_exists: IfExists = "version"
    content_type: Annotated[str, Field(min_length=1, max_length=256)] = "b2/x-auto"
    info: dict[str, str] = Field(default_factory=dict)
    hash_first: bool = False
    account: str = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return _one_of(uri, RootPath, LocalPath, WebFile, StoreObject, InlineData)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str) -> str:
        return _one_of(uri, B2File)

    @field_validator("info")
    @classmethod
    def _info(cls, info: dict[str, str]) -> dict[str, str]:
        return check_info(info)

    @model_validator(mode="after")
    def _named(self) -> Self:
        self.target()
        return self

    def target(self) -> B2File:
        """The file this upload makes.

        A destination that ends in `/` takes the source's last name; the folder itself is
        made by uploading nothing to it (`data:,`), as the placeholder `.bzEmpty` that
        B2's web page makes too.
        """
        destination = locations.parse(self.destination)
        assert isinstance(destination, B2File)
        if not destination.is_prefix:
            return destination
        name = last_name(locations.parse(self.source))
        if name is None:
            raise InvalidLocation(
                f"The destination {self.destination!r} needs a file name.",
                hint="Add a name behind the last '/'.",
            )
        locations.check_b2_name(destination.name + name)
        return B2File(destination.bucket, destination.name + name)


class Download(Job):
    """Fetch one file; without a destination, up to 256 KiB of it come back in the result."""

    kind = "download"

    source: str
    destination: str | None = None
    if_exists: Literal["skip", "fail", "replace"] = "replace"
    range: str | None = None
    account: str = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return _one_file(uri, B2File, B2Version)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str | None) -> str | None:
        return uri if uri is None else _one_of(uri, RootPath, LocalPath)

    @field_validator("range")
    @classmethod
    def _range(cls, text: str | None) -> str | None:
        match = _RANGE.match(text) if text is not None else None
        if text is not None and (match is None or (match[2] and int(match[2]) < int(match[1]))):
            raise ValueError("a range is FIRST-LAST or FIRST- in bytes, both inclusive")
        return text

    def byte_range(self) -> tuple[int, int | None] | None:
        """First and last byte, both inclusive; None for the last means the end."""
        if self.range is None:
            return None
        first, _, last = self.range.partition("-")
        return int(first), int(last) if last else None


class Copy(Job):
    """Copy one file inside B2; its bytes do not pass through the worker."""

    kind = "copy"

    source: str
    destination: str
    if_exists: IfExists = "version"
    content_type: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    info: dict[str, str] | None = None
    account: str = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return _one_file(uri, B2File, B2Version)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str) -> str:
        return _one_file(uri, B2File)

    @field_validator("info")
    @classmethod
    def _info(cls, info: dict[str, str] | None) -> dict[str, str] | None:
        return info if info is None else check_info(info)

    @model_validator(mode="after")
    def _metadata(self) -> Self:
        if self.info is not None and self.content_type is None:
            raise ValueError("info replaces the metadata, which needs content_type too")
        return self


class Delete(Job):
    """Remove a file or all below a prefix.

    versions: `latest` removes the newest version, `all` every one, or the id of one version.
    """

    kind = "delete"

    target: str
    versions: Annotated[str, Field(min_length=1)] = "latest"
    account: str = "default"

    @field_validator("target")
    @classmethod
    def _target(cls, uri: str) -> str:
        return _one_of(uri, B2File, B2Version)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        target = locations.parse(self.target)
        if self.versions not in ("latest", "all"):
            if not isinstance(target, B2File) or target.is_prefix:
                raise ValueError("versions may name one id only for a single file b2://BUCKET/NAME")
        elif isinstance(target, B2Version) and self.versions == "all":
            raise ValueError("b2id:// names one version; versions='all' needs b2://BUCKET/NAME")
        return self


class Bucket(Job):
    """Create, update, delete or list buckets."""

    kind = "bucket"

    action: Literal["create", "update", "delete", "list"]
    name: str | None = None
    type: Literal["allPrivate", "allPublic"] | None = None
    lifecycle: list[dict[str, Any]] | None = None
    account: str = "default"

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


class Share(Job):
    """Mint a URL that opens a private file for a while."""

    kind = "share"

    source: str
    seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    account: str = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return _one_file(uri, B2File)


class Check(Job):
    """Ask what the account's key may do."""

    kind = "check"

    account: str = "default"


def last_name(source: Location) -> str | None:
    """The name a source would have in a folder, or None where it has none."""
    match source:
        case RootPath(path=path) | LocalPath(path=path) | StoreObject(key=path):
            return path.rsplit("/", 1)[-1] or None
        case WebFile(url=url):
            return url.split("?")[0].split("#")[0].rsplit("/", 1)[-1] or None
        case InlineData(content=b""):
            return ".bzEmpty"
        case _:
            return None


def check_info(info: dict[str, str]) -> dict[str, str]:
    """Refuse file info B2 would refuse: see "File Information" in B2's documentation."""
    if len(info) > _INFO_LIMIT:
        raise ValueError(f"has {len(info)} entries, {_INFO_LIMIT} are allowed")
    for name in info:
        if not _INFO_KEY.match(name):
            raise ValueError(f"has the key {name!r}; keys are up to 50 lower-case characters")
        if name.startswith(("b2-", "b2jobs")):
            raise ValueError(f"has the key {name!r}; names beginning with b2- or b2jobs are taken")
    return info


def _one_of(uri: str, *allowed: type[Location]) -> str:
    location = locations.parse(uri)
    if not isinstance(location, allowed):
        raise InvalidLocation(
            f"{uri[:120]!r} cannot stand here.",
            hint="Allowed are " + ", ".join(_SCHEMES[kind] for kind in allowed) + ".",
        )
    return uri


def _one_file(uri: str, *allowed: type[Location]) -> str:
    _one_of(uri, *allowed)
    if getattr(locations.parse(uri), "is_prefix", False):
        raise InvalidLocation(
            f"{uri!r} is a prefix, one file is needed.", hint="Name the file behind the last '/'."
        )
    return uri


_SCHEMES: dict[type[Location], str] = {
    B2File: "b2://BUCKET/NAME",
    B2Version: "b2id://FILEID",
    RootPath: "data://ROOT/path",
    LocalPath: "file:///path",
    WebFile: "https://host/path",
    StoreObject: "s3://BUCKET/key",
    InlineData: "data:;base64,...",
}
