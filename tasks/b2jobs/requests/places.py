"""Which locations may stand where in a request."""

from __future__ import annotations

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


def one_of(uri: str, *allowed: type[Location]) -> str:
    location = locations.parse(uri)
    if not isinstance(location, allowed):
        raise InvalidLocation(
            f"{uri[:120]!r} cannot stand here.",
            hint="Allowed are " + ", ".join(_SCHEMES[kind] for kind in allowed) + ".",
        )
    return uri


def one_file(uri: str, *allowed: type[Location]) -> str:
    one_of(uri, *allowed)
    if getattr(locations.parse(uri), "is_prefix", False):
        raise InvalidLocation(
            f"{uri!r} is a prefix, one file is needed.", hint="Name the file behind the last '/'."
        )
    return uri


def single(uri: str, *allowed: type[Location]) -> str:
    location = locations.parse(uri)
    if not isinstance(location, allowed) or getattr(location, "is_prefix", False):
        raise InvalidLocation(
            f"{uri[:120]!r} cannot stand here.",
            hint="Name one file: data://ROOT/file.csv or b2://BUCKET/file.jsonl.gz.",
        )
    return uri


def prefix(uri: str, *allowed: type[Location]) -> str:
    location = locations.parse(uri)
    if not isinstance(location, allowed) or not getattr(location, "is_prefix", False):
        raise InvalidLocation(
            f"{uri[:120]!r} is not a prefix that can stand here.",
            hint="End it with '/': data://ROOT/folder/ or b2://BUCKET/folder/.",
        )
    return uri


def folder(uri: str, *allowed: type[Location]) -> str:
    """*uri* with a `/` at its end: a sync is always of folders."""
    location = locations.parse(uri)
    if not isinstance(location, allowed):
        raise InvalidLocation(
            f"{uri[:120]!r} cannot be a side of a sync.",
            hint="Write b2://BUCKET/folder/ and data://ROOT/folder/.",
        )
    text = str(location)
    return text if text.endswith("/") else f"{text}/"


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
}
