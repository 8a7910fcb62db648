"""Requests that move one file's bytes."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import quote, unquote

from pydantic import AfterValidator, Field, field_validator, model_validator

from b2jobs import locations
from b2jobs.account_names import AccountName
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
from b2jobs.metadata import LARGE_FILE_SHA1, MODIFIED_MILLIS, modified_millis, sha1_hex
from b2jobs.requests.job import IfExists, Job
from b2jobs.requests.places import Located, Uri, one_file, one_of

_INFO_KEY = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,50}\Z")
_RANGE = re.compile(r"(\d+)-(\d*)\Z")
_CONTENT_TYPE = re.compile(r"[\x20-\x7e]+\Z")
_INFO_LIMIT = 8  # B2 allows 10; the job's mark and the source's modification time take two
_INFO_HEADER_BYTES = len("x-bz-info-")
_INFO_BYTES = 5_500  # what is left of B2's 7,000 for the name and for what b2jobs adds
HEADERS_IN_INFO = frozenset(
    {
        "b2-cache-control",
        "b2-content-disposition",
        "b2-content-encoding",
        "b2-content-language",
        "b2-expires",
    }
)
"""Info that B2 sends as real headers with the file."""


def check_content_type(text: str) -> str:
    """Refuse a content type that cannot be a header."""
    if not _CONTENT_TYPE.match(text):
        raise ValueError(f"is {text!r:.100}; a content type is printable ASCII such as text/plain")
    return text


ContentType = Annotated[
    str, Field(min_length=1, max_length=256), AfterValidator(check_content_type)
]


UploadSource = RootPath | LocalPath | WebFile | StoreObject | InlineData | StagedBytes


class Upload(Job):
    """Put one file into a bucket.

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

    verify: False takes the file though its bytes are not what its SHA-1 in B2 says.
    replaces: only for the items of syncs: which file was compared, and so may be replaced;
        empty where none may be there.
    """

    kind = "download"

    source: str
    destination: str | None = None
    if_exists: Literal["skip", "fail", "replace"] = "replace"
    range: str | None = None
    verify: bool = True
    replaces: str | None = None
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
        return uri if uri is None else one_of(uri, RootPath, LocalPath)

    @field_validator("range")
    @classmethod
    def _range(cls, text: str | None) -> str | None:
        match = _RANGE.match(text) if text is not None else None
        if text is not None and (match is None or (match[2] and int(match[2]) < int(match[1]))):
            raise ValueError("a range is FIRST-LAST or FIRST- in bytes, both inclusive")
        return text

    source_location: ClassVar = Located[B2File | B2Version]("source")

    destination_location: ClassVar = Located[RootPath | LocalPath]("destination")

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
    content_type: ContentType | None = None
    info: dict[str, str] | None = None
    account: AccountName = "default"

    @field_validator("source")
    @classmethod
    def _source(cls, uri: str) -> str:
        return one_file(uri, B2File, B2Version)

    @field_validator("destination")
    @classmethod
    def _destination(cls, uri: str) -> str:
        return one_file(uri, B2File)

    @field_validator("info")
    @classmethod
    def _info(cls, info: dict[str, str] | None) -> dict[str, str] | None:
        return info if info is None else check_info(info)

    source_location: ClassVar = Located[B2File | B2Version]("source")
    destination_location: ClassVar = Located[B2File]("destination")

    @model_validator(mode="after")
    def _metadata(self) -> Self:
        if self.info is not None and self.content_type is None:
            raise ValueError("info replaces the metadata, which needs content_type too")
        return self

    def target(self) -> B2File:
        """The file this copy makes."""
        return self.destination_location


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


def check_info(info: dict[str, str]) -> dict[str, str]:
    """Refuse file info B2 would refuse: see "File Information" in B2's documentation."""
    if len(info) > _INFO_LIMIT:
        raise ValueError(f"has {len(info)} entries, {_INFO_LIMIT} are allowed")
    for name, text in info.items():
        if not _INFO_KEY.match(name):
            raise ValueError(f"has the key {name!r}; keys are up to 50 lower-case characters")
        if name.startswith(("b2-", "b2jobs")) and name not in HEADERS_IN_INFO:
            raise ValueError(
                f"has the key {name!r}; names beginning with b2- or b2jobs are taken, "
                f"except {', '.join(sorted(HEADERS_IN_INFO))}"
            )
        if any(ord(char) < 32 or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in text):
            raise ValueError(f"has control characters or broken ones in {name!r}: {text!r:.100}")
        if name == MODIFIED_MILLIS and modified_millis(text) is None:
            raise ValueError(
                f"has src_last_modified_millis={text!r:.100}; it is a time in milliseconds since "
                "1970, such as 1700000000000, which other tools read"
            )
        if name == LARGE_FILE_SHA1 and sha1_hex(text) is None:
            raise ValueError(f"has large_file_sha1={text!r:.100}; it is 40 hex digits")
    used = sum(len(name) + _INFO_HEADER_BYTES + len(quote(text)) for name, text in info.items())
    if used > _INFO_BYTES:
        raise ValueError(
            f"takes {used} bytes with its names; {_INFO_BYTES} are allowed, as B2 takes 7,000 "
            "with the file's name (2,048 with encryption or object lock)"
        )
    return info
