"""Which locations may stand where in a request."""

from __future__ import annotations

from typing import Any, Generic, Protocol, Self, TypeVar

from b2jobs import locations
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

L = TypeVar("L")


class Uri(str):
    """A location's text, and the location: it is parsed once, when the request is made."""

    location: Location

    @classmethod
    def of(cls, text: str) -> Self:
        """*text*, parsed.

        Raises:
            InvalidLocation
        """
        if isinstance(text, cls):
            return text
        made = cls(text)
        made.location = locations.parse(text)
        return made


class Located(Generic[L]):
    """The location in a request's field, whose validator has seen to it that it is an L."""

    def __init__(self, field: str) -> None:
        self._field = field

    def __get__(self, request: object, owner: type | None = None) -> L:
        text = getattr(request, self._field)
        location: Any = text.location if isinstance(text, Uri) else Uri.of(text).location
        found: L = location
        return found


def one_of(text: str, *allowed: type[Location]) -> Uri:
    uri = Uri.of(text)
    if not isinstance(uri.location, allowed):
        raise InvalidLocation(
            f"{masked(text)[:120]!r} cannot stand here.",
            hint="Allowed are " + ", ".join(_SCHEMES[kind] for kind in allowed) + ".",
        )
    return uri


def one_file(text: str, *allowed: type[Location]) -> Uri:
    uri = one_of(text, *allowed)
    if _is_prefix(uri):
        raise InvalidLocation(
            f"{text!r} is a prefix, one file is needed.", hint="Name the file behind the last '/'."
        )
    return uri


def prefix(text: str, *allowed: type[Location]) -> Uri:
    uri = Uri.of(text)
    if not isinstance(uri.location, allowed) or not _is_prefix(uri):
        raise InvalidLocation(
            f"{masked(text)[:120]!r} is not a prefix that can stand here.",
            hint="End it with '/': data://ROOT/folder/ or b2://BUCKET/folder/.",
        )
    return uri


def folder(text: str, *allowed: type[Location]) -> Uri:
    """*text* with a `/` at its end: a sync is always of folders."""
    uri = Uri.of(text)
    if not isinstance(uri.location, allowed):
        raise InvalidLocation(
            f"{masked(text)[:120]!r} cannot be a side of a sync.",
            hint="Write b2://BUCKET/folder/ and data://ROOT/folder/.",
        )
    said = f"{str(uri.location).removesuffix('/')}/"
    return uri if said == text else Uri.of(said)


def _is_prefix(uri: Uri) -> bool:
    return bool(getattr(uri.location, "is_prefix", False))


def check_names(names: str, *sides: Location) -> None:
    """Refuse to encode names where no side is a local folder."""
    if names == "encode" and not any(isinstance(side, RootPath | LocalPath) for side in sides):
        raise InvalidJob(
            "names is 'encode', and no side is a local folder (data:// or file://).",
            hint="Leave it out: what B2 refuses is reported, and a manifest gives it another name.",
            field="names",
        )


def lie_in_each_other(source: str, destination: str) -> bool:
    """Whether one of two prefixes is the other or lies in it: what is moved moves again."""
    return source.startswith(destination) or destination.startswith(source)


_SCHEMES: dict[type[Location], str] = {
    B2File: "b2://BUCKET/NAME",
    B2Version: "b2id://FILEID",
    RootPath: "data://ROOT/path",
    LocalPath: "file:///path",
    WebFile: "https://host/path",
    StoreObject: "s3://BUCKET/key",
    InlineData: "data:;base64,...",
    StagedBytes: "bytes, a pathlib.Path or a file object",
}


class TwoAccounts(Protocol):
    """A request with an account for each of two sides in B2."""

    @property
    def account(self) -> str: ...

    @property
    def source_account(self) -> str | None: ...


def check_source_account(request: TwoAccounts, source: Location, destination: Location) -> None:
    """Refuse a `source_account` where not both sides are in B2."""
    if request.source_account is not None and not (
        isinstance(source, B2File) and isinstance(destination, B2File)
    ):
        raise ValueError(
            f"source_account={request.source_account!r} goes with two sides in B2; account names "
            "whose key is used where one is"
        )
