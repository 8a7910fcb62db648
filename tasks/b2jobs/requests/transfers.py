"""Requests that move one file's bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import unquote

from pydantic import Field, field_validator, model_validator

from b2jobs import locations
from b2jobs.account_names import AccountName
from b2jobs.errors import InvalidJob
from b2jobs.for_people import masked
from b2jobs.locations import (
    B2File,
    B2Version,
    InlineData,
    InvalidLocation,
    LocalPath,
    Location,
    RootPath,
    StagedBytes,
    StoreObject,
    WebFile,
)
from b2jobs.requests.attributes import AllAttributes, Attributes
from b2jobs.requests.info import ContentType, check_info
from b2jobs.requests.job import INNER, IfExists, Job, Listed
from b2jobs.requests.places import Located, Uri, one_file, one_of
from b2jobs.requests.protection import KeyName

_RANGE = re.compile(r"(\d+)-(\d*)\Z")

UploadSource = RootPath | LocalPath | WebFile | StoreObject | InlineData | StagedBytes


class Upload(Attributes):
    """Put one file into a bucket.

    listed: only for the items of batches: what is there under the destination's name.
    encoded: only for the items of batches and syncs: the local path is written as its name in B2.
    hash_first: read a file that is sent in parts once more beforehand, so that its info has
        `large_file_sha1`, by which other tools and later syncs know its content.
    """

    kind = "upload"

    source: str
    destination: str
    if_exists: IfExists = "version"
    content_type: ContentType = "b2/x-auto"
    info: dict[str, str] = Field(default_factory=dict)
    hash_first: bool = False
    encoded: Annotated[bool, INNER] = False
    listed: Annotated[Listed | None, INNER] = None
    account: AccountName = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        if ":" not in uri:
            raise InvalidLocation(
                f"{uri[:120]!r} is not a location.",
                hint="Write data://ROOT/path or https://host/path; a file of this machine is "
                "handed over as pathlib.Path(...).",
            )
        return one_of(uri, RootPath, LocalPath, WebFile, StoreObject, InlineData, StagedBytes)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str) -> str:
        return one_of(uri, B2File)

    @field_validator("info")
    @classmethod
    def _info(cls, info: dict[str, str]) -> dict[str, str]:
        return check_info(info)

    source_location: ClassVar = Located[UploadSource]("source")
    destination_location: ClassVar = Located[B2File]("destination")

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
        destination = self.destination_location
        if not destination.is_prefix:
            return destination
        name = last_name(self.source_location)
        if name in (None, ".", ".."):
            raise InvalidLocation(
                f"The destination {self.destination!r} needs a file name."
                + (f" The source's last name is {name!r}, which is none." if name else ""),
                hint="Add a name behind the last '/'.",
            )
        locations.check_b2_name(destination.name + name)
        return B2File(destination.bucket, destination.name + name)

    def from_staged(self, staged: StagedBytes) -> Self:
        """The same upload of bytes that have been staged."""
        return self.model_copy(update={"source": Uri.of(str(staged))})


class Download(Job):
    """Fetch one file; without a destination, up to 256 KiB of it come back in the result.

    destination: below a root, or an object of another store.
    verify: False takes the file though its bytes are not what its SHA-1 in B2 says.
    customer_key: the name of the key in the workers' secrets file that reads the file (SSE-C).
    replaces: only for the items of syncs: which file was compared, and so may be replaced;
        empty where none may be there.
    listed: only for the items of batches: what the source is.
    encoded: only for the items of batches and syncs: the local path is written as its name in B2.
    """

    kind = "download"

    source: str
    destination: str | None = None
    if_exists: Literal["skip", "fail", "replace"] = "replace"
    range: str | None = None
    verify: bool = True
    customer_key: KeyName | None = None
    replaces: Annotated[str | None, INNER] = None
    encoded: Annotated[bool, INNER] = False
    listed: Annotated[Listed | None, INNER] = None
    account: AccountName = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return one_file(uri, B2File, B2Version)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str | None) -> str | None:
        if uri is not None and ":" not in uri:
            raise InvalidLocation(
                f"{uri[:120]!r} is not a location.",
                hint="A worker writes the file, so name a place of the workers: data://ROOT/path.",
            )
        return uri if uri is None else one_of(uri, RootPath, LocalPath, StoreObject)

    @field_validator("range")
    @classmethod
    def _range(cls, text: str | None) -> str | None:
        match = _RANGE.match(text) if text is not None else None
        if text is not None and (match is None or (match[2] and int(match[2]) < int(match[1]))):
            raise ValueError("a range is FIRST-LAST or FIRST- in bytes, both inclusive")
        return text

    source_location: ClassVar = Located[B2File | B2Version]("source")

    destination_location: ClassVar = Located[RootPath | LocalPath | StoreObject]("destination")

    def byte_range(self) -> tuple[int, int | None] | None:
        """First and last byte, both inclusive; None for the last means the end."""
        if self.range is None:
            return None
        first, _, last = self.range.partition("-")
        return int(first), int(last) if last else None


class Copy(AllAttributes):
    """Copy one file inside B2; its bytes do not pass through the worker where one key sees both.

    What is named of its attributes is replaced; all else is the source's.

    source_account: whose key reads the source, where it is not that of *account*, which writes.
    customer_key: the name of the key in the workers' secrets file that reads the source (SSE-C).
        The copy is encrypted with it too, unless `encryption` says otherwise.
    """

    kind = "copy"

    source: str
    destination: str
    if_exists: IfExists = "version"
    customer_key: KeyName | None = None
    listed: Annotated[Listed | None, INNER] = None
    account: AccountName = "default"
    source_account: AccountName | None = None

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return one_file(uri, B2File, B2Version)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str) -> str:
        return one_file(uri, B2File)

    source_location: ClassVar = Located[B2File | B2Version]("source")
    destination_location: ClassVar = Located[B2File]("destination")

    def target(self) -> B2File:
        """The file this copy makes."""
        return self.destination_location


class Move(Copy):
    """Copy one file inside B2, check the copy, and then delete the source's version.

    Older versions of the source's name stay, hidden where they would come to light.

    bypass_governance: move a source that is retained in governance mode too.
    """

    kind = "move"

    bypass_governance: bool = False

    @field_validator("source", "destination", mode="before")
    @classmethod
    def _in_b2(cls, uri: Any) -> Any:
        if isinstance(uri, str) and uri.partition("://")[0] in (
            "data",
            "file",
            "s3",
            "gs",
            "azure",
            "https",
        ):
            raise InvalidLocation(
                f"{masked(uri)[:120]!r} is not in B2, and a move stays there.",
                hint="Upload or download it, and delete the source when that has succeeded.",
            )
        return uri

    @model_validator(mode="after")
    def _elsewhere(self) -> Self:
        if self.source == self.destination:
            raise ValueError("source and destination are the same file")
        if self.source_account not in (None, self.account):
            raise InvalidJob(
                f"source_account is {self.source_account!r}, and a move stays in one account.",
                hint="Copy with it, and delete the source with its own account when that has "
                "succeeded.",
                field="source_account",
            )
        return self


def last_name(source: Location) -> str | None:
    """The name a source would have in a folder, or None where it has none."""
    match source:
        case RootPath(path=path) | LocalPath(path=path) | StoreObject(key=path):
            return path.rsplit("/", 1)[-1] or None
        case WebFile(url=url):
            return _decoded(url.split("?")[0].split("#")[0].rsplit("/", 1)[-1]) or None
        case StagedBytes(name=str(name)) if name:
            return name
        case InlineData(content=b"") | StagedBytes(size=0):
            return ".bzEmpty"
        case _:
            return None


def _decoded(segment: str) -> str:
    """The last name of a URL as people write it; as it is where that would be no single name."""
    try:
        name = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return segment
    return segment if "/" in name or any(ord(char) < 32 for char in name) else name
