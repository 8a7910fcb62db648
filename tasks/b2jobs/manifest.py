"""Manifests: one transfer a line, as CSV or JSON lines, plain or compressed.

CSV has a header with `source`, `destination` and, in any order, `size`, `sha1`,
`content_type`, `info` (a JSON object) and what else a file in B2 carries (`cache_control`, ...);
without a header the columns are in the order of `COLUMNS`. JSON lines have objects with the
same names. A line is one line: quoted line ends are refused.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Literal, NamedTuple, cast

from b2jobs import locations
from b2jobs.errors import B2JobsError, InvalidJob
from b2jobs.for_people import masked
from b2jobs.items import Item, Planned, Refusal, refused
from b2jobs.locations import (
    B2File,
    B2Version,
    InvalidLocation,
    LocalPath,
    Location,
    RootPath,
    StoreObject,
)
from b2jobs.requests import build, last_name
from b2jobs.requests.attributes import ATTRIBUTES
from b2jobs.requests.info import HEADERS

_READING = ("customer_key", "account", "source_account")
_FIRST = ("source", "destination", "size", "sha1", "content_type", "info")
COLUMNS = (*_FIRST, *(name for name in ATTRIBUTES if name not in _FIRST), *_READING)
_OPTIONS = (*ATTRIBUTES, *_READING, "if_exists")
MOST_LINE_BYTES = 512 * 1024
MOST_FILE_BYTES = 10 * 1000**4  # the largest file in B2
_SHA1 = re.compile(r"[0-9a-f]{40}\Z")


class Line(NamedTuple):
    """A line as bytes, cut behind `MOST_LINE_BYTES` + 1; *size* is that of the whole line."""

    number: int
    raw: bytes
    size: int


def lines(file: IO[bytes], name: str, first: int = 1, *, behind: int = 0) -> Iterator[Line]:
    """The lines of *file* from number *first* on, *behind* so many bytes.

    Memory does not grow with the length of a line.

    Raises:
        InvalidJob: `manifest_unreadable`: it is cut short, or not compressed as *name* says.
    """
    number = first
    try:
        while behind and (skipped := file.read(min(1 << 20, behind))):
            behind -= len(skipped)
        while raw := file.readline(MOST_LINE_BYTES + 1):
            size, piece = len(raw), raw
            while len(piece) > MOST_LINE_BYTES and not piece.endswith(b"\n"):
                piece = file.readline(MOST_LINE_BYTES + 1)
                size += len(piece)
            yield Line(number, raw, size)
            number += 1
    except B2JobsError:
        raise
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InvalidJob(
            f"The manifest {name} cannot be read behind line {number - 1}: {reason}.",
            code="manifest_unreadable",
            hint="A name that ends in .gz, .bz2 or .xz must be that of a whole compressed file.",
        ) from error


class Reader:
    """Items from the lines of a manifest. Its first line says of which format it is."""

    def __init__(self) -> None:
        self._columns: list[str] | None = None
        self._is_json = False

    def rows(self, found: Iterable[Line]) -> Iterator[Planned | None]:
        """One for each line, None for one without content."""
        for line in found:
            yield self.read(line.raw, line.number)

    def read(self, raw: bytes, number: int) -> Planned | None:
        """The row of one line; None for a header or an empty line."""
        if len(raw) > MOST_LINE_BYTES:
            message = f"The line has more than {MOST_LINE_BYTES} bytes."
            return Refusal("line_too_long", message, line=number)
        try:
            text = raw.decode().strip("\r\n")
        except UnicodeDecodeError:
            return Refusal("line_broken", "The line is not UTF-8.", line=number)
        text = text.removeprefix("\ufeff")
        if not text.strip():
            return None
        if self._columns is None:
            self._is_json = text.lstrip().startswith("{")
            self._columns = list(COLUMNS)
            if not self._is_json and self._is_header(text):
                return None
        try:
            fields = _json_fields(text) if self._is_json else self._csv_fields(text)
        except ValueError as error:
            return Refusal("line_broken", str(error), line=number)
        return row(number, fields)

    def _is_header(self, text: str) -> bool:
        try:
            names = [name.strip().lower() for name in next(csv.reader([text]), [])]
        except csv.Error:
            return False  # read once more as a line, it says what is wrong with it
        if not {"source", "destination"} <= set(names):
            return False
        self._columns = names
        return True

    def _csv_fields(self, text: str) -> dict[str, Any]:
        assert self._columns is not None
        try:
            cells = next(csv.reader([text], strict=True))
        except csv.Error as error:
            raise ValueError(f"The line is not CSV: {error}.") from error
        if len(cells) > len(self._columns):
            raise ValueError(f"The line has {len(cells)} cells, {len(self._columns)} are known.")
        return {name: cell for name, cell in zip(self._columns, cells, strict=False) if cell}


def row(number: int, fields: object) -> Planned:
    """Check the fields of one line, as a single job's arguments would be."""
    if not isinstance(fields, Mapping):
        kind = type(fields).__name__
        return Refusal("line_broken", f"It is a {kind}, not an object with fields.", line=number)
    source, destination = fields.get("source"), fields.get("destination")
    if not isinstance(source, str) or not isinstance(destination, str):
        return Refusal("line_broken", "The line needs a source and a destination.", line=number)
    if "expires" in fields:  # a line has no expiry of its own, so HTTP's name for it will do
        fields = {"content_expires" if name == "expires" else name: fields[name] for name in fields}
    try:
        unknown = set(fields) - set(COLUMNS) - {"if_exists"}
        if unknown:
            raise ValueError(f"{', '.join(sorted(map(str, unknown)))} is not known.")
        action, target = _action(source, destination)
        options = _options(action, fields)
        if options:
            build(action, {"source": source, "destination": target, **options})
        _check_text([source, target, options] if options else [source, target])
        size, sha1 = _size(fields.get("size")), _sha1(fields.get("sha1"))
    except (InvalidLocation, InvalidJob) as error:
        return _bad(number, error.code, str(error), source, destination)
    except ValueError as error:
        return _bad(number, "line_broken", str(error), source, destination)
    return Item(action, source, target, size, sha1, number, options)


def repeated(item: Item) -> Refusal:
    """A line whose destination an earlier line has."""
    return refused(item, "duplicate_destination", "An earlier line has the same destination.")


def is_compressed(name: str) -> bool:
    """Whether *name* is that of a compressed file."""
    return name.lower().endswith((".gz", ".bz2", ".xz"))


def decompressed(stream: IO[bytes], name: str) -> IO[bytes]:
    """*stream* as it reads without gzip, bzip2 or xz, told by the end of its *name*."""
    name = name.lower()
    if name.endswith(".gz"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if name.endswith(".bz2"):
        return cast("IO[bytes]", bz2.BZ2File(stream))
    if name.endswith(".xz"):
        return cast("IO[bytes]", lzma.LZMAFile(stream))
    return stream


def _bad(number: int, code: str, message: str, source: str, destination: str) -> Refusal:
    source = masked(source)
    return Refusal(code, _as_text(message), _as_text(source), _as_text(destination), number)


def _as_text(text: str) -> str:
    """*text* as it can be stored: UTF-8, no longer than a line of a ledger should be."""
    return text[:2000].encode(errors="backslashreplace").decode()


def _check_text(values: list[Any]) -> None:
    """Refuse what JSON in UTF-8 cannot carry: lone surrogates, bytes."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("It has a character that UTF-8 cannot carry.") from error
    except TypeError as error:
        raise ValueError(f"Not all of it is text: {error}.") from error


def _json_fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The line is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ValueError("The line is not a JSON object.")
    return {name: value for name, value in found.items() if value is not None}


def _action(source: str, destination: str) -> tuple[Literal["upload", "download", "copy"], str]:
    """What the two ends make of it, and the destination with a name where it had none."""
    ends = locations.parse(source), locations.parse(destination)
    from_b2 = isinstance(ends[0], B2File | B2Version)
    if isinstance(ends[0], locations.StagedBytes):
        raise InvalidLocation("Staged bytes belong to the one job they were handed over with.")
    if getattr(ends[0], "is_prefix", False):
        raise InvalidLocation(f"{masked(source)[:120]!r} is a prefix, one file is needed.")
    if getattr(ends[1], "is_prefix", False):
        destination += _name(ends[0], source)
        ends = ends[0], locations.parse(destination)
    if isinstance(ends[1], B2File):
        return ("copy" if from_b2 else "upload"), destination
    if from_b2 and isinstance(ends[1], RootPath | LocalPath | StoreObject):
        return "download", destination
    raise InvalidLocation(
        f"{masked(source)[:80]!r} cannot go to {destination[:80]!r}.",
        hint="One end must be in B2.",
    )


def _name(source: Location, uri: str) -> str:
    name = source.name.rsplit("/", 1)[-1] if isinstance(source, B2File) else last_name(source)
    if not name or name in (".", ".."):
        raise InvalidLocation(
            f"{masked(uri)[:120]!r} gives no name for a destination ending in '/'."
        )
    return name


def _options(action: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name in _OPTIONS:
        value = fields.get(name)
        if value is None or (value == "" and name not in HEADERS):
            continue
        if name == "info" and isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"info is not a JSON object: {error}.") from error
        if action == "download" and name not in ("if_exists", "customer_key", "account"):
            raise ValueError(f"{name} has no meaning for a download.")
        options[name] = value
    return options


def _size(value: Any) -> int | None:
    if value in (None, ""):
        return None
    try:
        size = int(value)
    except (TypeError, ValueError, OverflowError):
        size = -1
    if not 0 <= size <= MOST_FILE_BYTES or isinstance(value, bool | float):
        raise ValueError(f"size is {value!r:.60}, not a number of bytes up to 10 TB.")
    return size


def _sha1(value: Any) -> str | None:
    if value in (None, ""):
        return None
    text = str(value).lower()
    if not _SHA1.match(text):
        raise ValueError(f"sha1 is {value!r:.60}, not 40 hex digits.")
    return text
