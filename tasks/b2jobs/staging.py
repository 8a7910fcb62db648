"""Bytes from the producer: what may be handed over, read in pieces, on its way into Redis."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

from b2jobs.connection import within
from b2jobs.errors import B2JobsError, InvalidJob
from b2jobs.locations import StagedBytes
from b2jobs.redis.pieces import PIECE_BYTES, Pieces, too_large
from b2jobs.requests import Upload, build

MOST_VARIABLE = "B2JOBS_STAGED_BYTES"
ALL_VARIABLE = "B2JOBS_STAGED_ALL_BYTES"
MOST_BYTES = 64 * 1024 * 1024
_DROP_SECONDS = 2.0
_CONTENT_TYPE = re.compile(r"[\x20-\x7e]{1,256}\Z")


@runtime_checkable
class BinaryFile(Protocol):
    """A file object: it is read from where it stands to its end, and not closed."""

    def read(self, size: int, /) -> Any: ...


@runtime_checkable
class AwaitedFile(Protocol):
    """A file object whose `read` is awaited."""

    async def read(self, size: int, /) -> Any: ...


Handed = bytes | bytearray | memoryview | os.PathLike[str] | BinaryFile
"""What an upload's source may be besides a location."""
AwaitedSource = Handed | AwaitedFile | AsyncIterable[bytes]
"""What it may be in a coroutine."""


def is_handed(source: object) -> bool:
    """Whether *source* are bytes of the producer, and no location."""
    kinds = (bytes, bytearray, memoryview, os.PathLike, BinaryFile, AsyncIterable)
    return not isinstance(source, str) and isinstance(source, kinds)


def is_awaited(source: object) -> TypeGuard[AwaitedFile | AsyncIterable[bytes]]:
    """Whether only a coroutine can read *source*."""
    return isinstance(source, AsyncIterable) or _reads_awaited(source)


def _reads_awaited(source: object) -> TypeGuard[AwaitedFile]:
    return isinstance(source, AwaitedFile) and iscoroutinefunction(source.read)


@dataclass(frozen=True)
class Limits:
    """most: bytes of one job. all_: of all jobs together, 0 for a share of Redis's memory."""

    most: int = MOST_BYTES
    all_: int = 0

    @classmethod
    def of_environment(cls) -> Limits:
        """What `B2JOBS_STAGED_BYTES` and `B2JOBS_STAGED_ALL_BYTES` say.

        Raises:
            InvalidJob
        """
        return cls(_bytes(MOST_VARIABLE, MOST_BYTES), _bytes(ALL_VARIABLE, 0))


def _bytes(variable: str, default: int) -> int:
    said = os.environ.get(variable) or str(default)
    if not said.isdecimal():
        raise InvalidJob(
            f"{variable} is {said!r}.", hint="Give a whole number of bytes.", field="source"
        )
    return int(said)


@dataclass(frozen=True)
class Origin:
    """What is known of handed-over bytes before they are read."""

    name: str = ""
    content_type: str = ""
    modified_millis: int | None = None
    size: int | None = None

    @classmethod
    def of(cls, source: Any) -> Origin:
        """What *source* says of itself: a path, or a file object with `name` (`filename`) and
        `content_type`, as web frameworks have them for an uploaded file.

        Raises:
            InvalidJob: `source_missing`, `source_is_directory`, `source_unreadable`.
        """
        if isinstance(source, bytes | bytearray | memoryview):
            return cls(size=memoryview(source).nbytes)
        if isinstance(source, os.PathLike):
            path = Path(source)
            with _reading(path):
                status = path.stat()
            if path.is_dir():
                raise _unreadable(path, "source_is_directory", "is a folder")
            size = status.st_size if path.is_file() else None
            return cls(path.name, "", status.st_mtime_ns // 1_000_000, size)
        name = getattr(source, "filename", None) or getattr(source, "name", None)
        content_type = getattr(source, "content_type", None)
        return cls(
            _last(name) if isinstance(name, str) else "",
            content_type
            if isinstance(content_type, str) and _CONTENT_TYPE.match(content_type)
            else "",
        )

    def placeholder(self) -> StagedBytes:
        """The location as it will be, to check a request before anything is read."""
        size = 1 if self.size is None else self.size
        return StagedBytes("0" * 32, size, "0" * 40, self.name, self.content_type)


@dataclass(frozen=True)
class Offer:
    """An upload of bytes that the producer has, checked before any are read."""

    request: Upload
    origin: Origin
    limits: Limits

    @classmethod
    def of(cls, source: Any, arguments: dict[str, Any]) -> Offer:
        """The upload of *source* with the other *arguments*.

        Raises:
            InvalidJob
        """
        origin, limits = Origin.of(source), Limits.of_environment()
        request = build("upload", {**arguments, "source": str(origin.placeholder())})
        assert isinstance(request, Upload)
        if origin.size is not None and origin.size > limits.most:
            raise too_large(limits.most, origin.size)
        return cls(request, origin, limits)


def pieces(source: AwaitedSource) -> Iterator[bytes]:
    """*source* in pieces of `PIECE_BYTES`; one empty piece where there is nothing.

    Raises:
        InvalidJob: it cannot be read, or gives text.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source).cast("B")
        for start in range(0, max(1, len(view)), PIECE_BYTES):
            yield bytes(view[start : start + PIECE_BYTES])
    elif isinstance(source, os.PathLike):
        path = Path(source)
        with _reading(path), path.open("rb", buffering=0) as file:
            yield from _cut(iter(lambda: file.read(PIECE_BYTES), b""))
    elif isinstance(source, BinaryFile) and not _reads_awaited(source):
        yield from _cut(iter(lambda: _checked(source.read(PIECE_BYTES)), b""))
    else:
        raise InvalidJob(
            f"A {type(source).__name__} can only be read by a coroutine.",
            hint="await b2jobs.aio.upload(...); or hand over its `file`, where it has one.",
            field="source",
        )


async def awaited_pieces(source: AsyncIterable[bytes] | AwaitedFile) -> AsyncIterator[bytes]:
    """`pieces` of what is awaited."""
    cutter = Cutter()
    if _reads_awaited(source):
        while chunk := _checked(await source.read(PIECE_BYTES)):
            for piece in cutter.cut(chunk):
                yield piece
    elif isinstance(source, AsyncIterable):
        async for chunk in source:
            for piece in cutter.cut(_checked(chunk)):
                yield piece
    for piece in cutter.rest():
        yield piece


def _checked(read: object) -> bytes:
    """What was read, if it is bytes."""
    if not isinstance(read, bytes | bytearray | memoryview):
        raise InvalidJob(
            f"The source reads as {type(read).__name__}, not as bytes.",
            hint="Open it in binary mode: open(path, 'rb').",
            field="source",
        )
    return bytes(read)


class Cutter:
    """Cuts chunks of any size into pieces of `PIECE_BYTES`."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._is_first = True

    def cut(self, chunk: bytes) -> Iterator[bytes]:
        """The pieces that are whole with *chunk*."""
        if not self._kept and len(chunk) == PIECE_BYTES:
            self._is_first = False
            yield chunk
            return
        view = memoryview(chunk)
        while view:
            room = PIECE_BYTES - len(self._kept)
            self._kept += view[:room]
            view = view[room:]
            if len(self._kept) == PIECE_BYTES:
                self._is_first = False
                yield bytes(self._kept)
                self._kept = bytearray()

    def rest(self) -> Iterator[bytes]:
        """The last piece, which may be shorter."""
        if self._kept or self._is_first:
            yield bytes(self._kept)


def _cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    cutter = Cutter()
    for chunk in chunks:
        yield from cutter.cut(chunk)
    yield from cutter.rest()


class Staging:
    """Bytes of one job on their way into Redis. Thread-safe: an asyncio task that is cancelled
    drops them while a thread still writes."""

    def __init__(
        self, store: Pieces, origin: Origin, limits: Limits, *, counts: bool = True
    ) -> None:
        self._store = store
        self._origin = origin
        self._limits = limits
        self._counts = counts
        self._id = uuid.uuid4().hex
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._size = self._number = 0
        self._is_dropped = False
        self._lock = threading.Lock()

    def add(self, piece: bytes) -> None:
        """Write the next piece.

        Raises:
            InvalidJob: `staged_too_large`, `staged_gone`
            QueueUnavailable: `staged_full` too.
        """
        with self._lock:
            if self._is_dropped:
                return
            if self._size + len(piece) > self._limits.most:
                raise too_large(self._limits.most, self._origin.size)
            all_ = self._limits.all_ if self._counts else None
            self._store.put(self._id, self._number, piece, most=self._limits.most, all_=all_)
            self._sha1.update(piece)
            self._number += 1
            self._size += len(piece)

    def location(self) -> StagedBytes:
        """What names the bytes in the job's request."""
        origin = self._origin
        return StagedBytes(
            self._id,
            self._size,
            self._sha1.hexdigest(),
            origin.name,
            origin.content_type,
            origin.modified_millis,
        )

    def drop(self) -> None:
        """Leave nothing, unless a job has it. Where Redis is away, it is swept later."""
        with self._lock, suppress(B2JobsError), within(_DROP_SECONDS):
            self._is_dropped = True
            self._store.drop(self._id)


@contextmanager
def staging(
    store: Pieces, origin: Origin, limits: Limits, *, counts: bool = True
) -> Iterator[Staging]:
    """Bytes that are dropped unless the context ends well; *counts*: into the share of all."""
    made = Staging(store, origin, limits, counts=counts)
    try:
        yield made
    except BaseException:
        made.drop()
        raise


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _unreadable(path, "source_missing", "does not exist here") from error
    except IsADirectoryError as error:
        raise _unreadable(path, "source_is_directory", "is a folder") from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise _unreadable(path, "source_unreadable", reason) from error


def _unreadable(path: Path, code: str, reason: str) -> InvalidJob:
    return InvalidJob(
        f"The file {path} {reason}.",
        code=code,
        hint="A path is read by whoever submits the job; what workers read is named as a location "
        "such as data://ROOT/path.",
        field="source",
    )


def _last(name: str) -> str:
    """The last name of a path, as a browser or an operating system has it; none for `<stdin>`."""
    return "" if name.startswith("<") else re.split(r"[/\\]", name)[-1]
