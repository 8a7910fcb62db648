"""Locations: the URIs that say where bytes are.

    b2://BUCKET/NAME            a file by name; a trailing / means a prefix
    b2id://FILEID               one version
    data://ROOT/path            a root configured on the worker
    file:///path                only inside a configured root
    https://host/path           a public host
    s3://BUCKET/key, gs://, azure://
    data:[type];base64,...      the bytes themselves, up to 256 KiB
    staged://ID/NAME?...        bytes that a producer handed over, in Redis until the job ends

Names are written as they are, not percent-encoded: everything behind the bucket's
slash is the file name, byte for byte, as the `b2` command line tool has it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlencode, urlsplit

from b2jobs.for_people import is_inline, masked

INLINE_LIMIT_BYTES = 256 * 1024
_NAME_LIMIT_BYTES = 1024
_SEGMENT_LIMIT_BYTES = 250
_BUCKET = re.compile(r"[A-Za-z0-9-]{6,63}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STAGED_ID = re.compile(r"[0-9a-f]{32}\Z")
_SHA1 = re.compile(r"[0-9a-f]{40}\Z")


class InvalidLocation(ValueError):
    """A URI that can never name bytes; `code` and `hint` say what is wrong and the way out."""

    def __init__(self, message: str, *, code: str = "invalid_location", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


@dataclass(frozen=True)
class B2File:
    """A file in a bucket by name, or everything under a prefix when the name ends in `/`."""

    bucket: str
    name: str

    @property
    def is_prefix(self) -> bool:
        return self.name == "" or self.name.endswith("/")

    def __str__(self) -> str:
        return f"b2://{self.bucket}/{self.name}"


@dataclass(frozen=True)
class B2Version:
    """One version of a file, by its id."""

    file_id: str

    def __str__(self) -> str:
        return f"b2id://{self.file_id}"


@dataclass(frozen=True)
class RootPath:
    """A path below a root that the worker's configuration names."""

    root: str
    path: str

    @property
    def is_prefix(self) -> bool:
        return self.path == "" or self.path.endswith("/")

    def __str__(self) -> str:
        return f"data://{self.root}/{self.path}"


@dataclass(frozen=True)
class LocalPath:
    """An absolute path on the worker; only served inside a configured root."""

    path: str

    @property
    def is_prefix(self) -> bool:
        return self.path.endswith("/")

    def __str__(self) -> str:
        return f"file://{self.path}"


@dataclass(frozen=True)
class WebFile:
    """A file behind https."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class StoreObject:
    """An object (or, with a trailing `/`, a prefix) in another object store."""

    scheme: str
    bucket: str
    key: str

    @property
    def is_prefix(self) -> bool:
        return self.key == "" or self.key.endswith("/")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class InlineData:
    """The bytes themselves."""

    content_type: str
    content: bytes

    def __str__(self) -> str:
        return f"data:{self.content_type};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class StagedBytes:
    """Bytes in Redis that a producer handed over with a job; made by `upload`, never by hand.

    name: of the file they come from, without folders; empty where there is none.
    modified_millis: of that file, milliseconds since the epoch.
    """

    id: str
    size: int
    sha1: str
    name: str = ""
    content_type: str = ""
    modified_millis: int | None = None

    def __str__(self) -> str:
        said = {
            "bytes": self.size,
            "sha1": self.sha1,
            "type": self.content_type,
            "modified": self.modified_millis,
        }
        query = urlencode({name: value for name, value in said.items() if value not in ("", None)})
        return f"staged://{self.id}/{quote(self.name, safe=' ')}?{query}"


Location = (
    B2File | B2Version | RootPath | LocalPath | WebFile | StoreObject | InlineData | StagedBytes
)


def parse(uri: str) -> Location:
    """Read *uri* into the location it names.

    Raises:
        InvalidLocation: no scheme of ours, or the part behind it is refused.
    """
    if is_inline(uri):
        return _parse_inline(uri)
    scheme, separator, rest = uri.partition("://")
    if not separator:
        own = "Workers do not see this machine's files. " if uri[:1] in ("/", ".", "~") else ""
        raise InvalidLocation(
            f"{_shown(uri)} is not a location.",
            hint=f"{own}Write b2://BUCKET/NAME, data://ROOT/path, file:///path or "
            "https://host/path.",
        )
    match scheme:
        case "b2":
            return _parse_b2(uri, rest)
        case "b2id":
            if not rest or "/" in rest:
                raise InvalidLocation(
                    f"{_shown(uri)} is not a file id.", hint="Write b2id://FILEID."
                )
            return B2Version(rest)
        case "data":
            return _parse_root(uri, rest)
        case "file":
            return _parse_local(uri, rest)
        case "https":
            return _parse_web(uri)
        case "s3" | "gs" | "azure":
            bucket, _, key = rest.partition("/")
            if not bucket:
                raise InvalidLocation(f"{_shown(uri)} names no bucket.")
            return StoreObject(scheme, bucket, key)
        case "staged":
            return _parse_staged(uri, rest)
        case _:
            raise InvalidLocation(
                f"The scheme {scheme!r} of {_shown(uri)} is not known.",
                hint="Known are b2, b2id, data, file, https, s3, gs and azure.",
            )


def check_b2_name(name: str) -> None:
    """Refuse a file name that B2 would refuse.

    The rules are those of B2's "Files" page plus what b2sdk checks before a call:
    1 to 1,024 bytes of UTF-8, no control characters, no empty segment, segments of
    250 bytes at most.

    Raises:
        InvalidLocation: with the code `name_refused`.
    """
    problem = _name_problem(name)
    if problem:
        raise InvalidLocation(
            f"B2 refuses the file name {_shown(name)}: {problem}.",
            code="name_refused",
            hint="Choose another name for the file in the bucket.",
        )


@lru_cache(maxsize=256)  # the same for all files of a batch
def check_bucket_name(name: str) -> None:
    """Refuse a bucket name that B2 would refuse: 6 to 63 of letters, digits and `-`.

    Raises:
        InvalidLocation: with the code `bucket_name_refused`.
    """
    if not _BUCKET.match(name) or name.lower().startswith("b2-"):
        raise InvalidLocation(
            f"B2 refuses the bucket name {_shown(name)}.",
            code="bucket_name_refused",
            hint="Bucket names are 6 to 63 letters, digits and '-', and do not begin with 'b2-'.",
        )


def _name_problem(name: str) -> str:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "it is not valid UTF-8"
    if not encoded:
        return "it is empty"
    if len(encoded) > _NAME_LIMIT_BYTES:
        return f"it has {len(encoded)} bytes, {_NAME_LIMIT_BYTES} are allowed"
    if _CONTROL.search(name):
        return "it has a control character"
    if name.startswith("/") or name.endswith("/"):
        return "it begins or ends with '/'"
    if "//" in name:
        return "it has '//'"
    if len(encoded) > _SEGMENT_LIMIT_BYTES and any(
        len(segment.encode()) > _SEGMENT_LIMIT_BYTES for segment in name.split("/")
    ):
        return f"a part between slashes has more than {_SEGMENT_LIMIT_BYTES} bytes"
    return ""


def _parse_b2(uri: str, rest: str) -> B2File:
    bucket, _, name = rest.partition("/")
    if not bucket:
        raise InvalidLocation(f"{_shown(uri)} names no bucket.", hint="Write b2://BUCKET/NAME.")
    check_bucket_name(bucket)
    stem = name.removesuffix("/")
    if name:
        check_b2_name(stem)
    return B2File(bucket, name)


def _parse_root(uri: str, rest: str) -> RootPath:
    root, _, path = rest.partition("/")
    if not root:
        raise InvalidLocation(f"{_shown(uri)} names no root.", hint="Write data://ROOT/path.")
    _refuse_nul(uri)
    return RootPath(root, path)


def _parse_local(uri: str, rest: str) -> LocalPath:
    if not rest.startswith("/"):
        raise InvalidLocation(
            f"{_shown(uri)} is not an absolute path.", hint="Write file:///path with three slashes."
        )
    _refuse_nul(uri)
    return LocalPath(rest)


def _parse_web(uri: str) -> WebFile:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidLocation(f"{_shown(uri)} is not a URL: {error}.") from error
    if not host:
        raise InvalidLocation(f"{_shown(uri)} names no host.")
    if parts.username is not None or parts.password is not None:
        raise InvalidLocation(
            "An https location must not carry a user name or password.",
            hint="Use a URL that opens without them, such as a signed one.",
        )
    if any(ord(character) <= 32 for character in uri):
        raise InvalidLocation(f"{_shown(uri)} has white space.", hint="Percent-encode it as %20.")
    return WebFile(uri)


def _parse_inline(uri: str) -> InlineData:
    header, comma, payload = uri.removeprefix("data:").partition(",")
    if not comma:
        raise InvalidLocation(
            "A data: location needs a comma before its bytes.", hint="Write data:;base64,AAAA."
        )
    content_type = header.removesuffix(";base64")
    try:
        content = (
            base64.b64decode(payload, validate=True)
            if header.endswith(";base64")
            else unquote_to_bytes(payload)
        )
    except binascii.Error as error:
        raise InvalidLocation(f"The bytes of a data: location are not base64: {error}.") from error
    if len(content) > INLINE_LIMIT_BYTES:
        raise InvalidLocation(
            f"A data: location holds {len(content)} bytes, {INLINE_LIMIT_BYTES} are allowed.",
            hint="Hand over the bytes themselves, a pathlib.Path or a file object as the source, "
            "or name a file below a root.",
        )
    return InlineData(content_type, content)


def _parse_staged(uri: str, rest: str) -> StagedBytes:
    path, _, query = rest.partition("?")
    staged_id, _, name = path.partition("/")
    said = dict(parse_qsl(query))
    size, sha1, modified = said.get("bytes", ""), said.get("sha1", ""), said.get("modified")
    if not (
        _STAGED_ID.match(staged_id)
        and _SHA1.match(sha1)
        and size.isdecimal()
        and (modified is None or modified.isdecimal())
    ):
        raise InvalidLocation(
            f"{_shown(uri)} names no staged bytes.",
            hint="Such locations are made by b2jobs: give bytes, a pathlib.Path or a file object.",
        )
    millis = None if modified is None else int(modified)
    return StagedBytes(staged_id, int(size), sha1, unquote(name), said.get("type", ""), millis)


def _refuse_nul(uri: str) -> None:
    if "\0" in uri:
        raise InvalidLocation(f"{_shown(uri)} has a NUL character.")


def _shown(text: str) -> str:
    text = masked(text)
    return repr(text if len(text) <= 120 else text[:117] + "...")
