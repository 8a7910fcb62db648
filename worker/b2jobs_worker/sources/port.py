"""The two ports of sources/: where bytes are read from, and where downloads are put.

One implementation a kind of place (local files, https, object stores, inline data);
tests/contract runs one suite over all of them. Errors are raised as `JobError`s: the
foreign exceptions of each place are converted inside its own module.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from typing_extensions import TypeIs

from b2jobs.errors import JobError
from b2jobs_worker.sources.carried import Carried


class Entry(NamedTuple):
    """One file of a listing; *name* is relative to what was listed, with `/` between folders.

    has_modified: False where only the store's own time is known and its writer's may be another.
    sha1: where the listing tells it. A tuple, since a listing makes one for each of millions of
    files.
    """

    name: str
    size: int
    modified_millis: int
    identity: str
    has_modified: bool = True
    sha1: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What a listing passed over, and why. It went on behind it."""

    name: str
    code: str
    message: str


class Stream(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Up to *size* bytes, empty at the end."""

    def close(self) -> None:
        """End it; from another thread too, where it wakes a blocked `read` with an error."""


class Source(Protocol):
    """Something to upload. Opening it again gives the same bytes while `identity` is the same."""

    @property
    def uri(self) -> str:
        """As the job named it."""

    @property
    def size(self) -> int | None:
        """In bytes; None where it is only known at the end."""

    @property
    def modified_millis(self) -> int | None:
        """Last modification, milliseconds since the epoch."""

    @property
    def identity(self) -> str:
        """Differs when the content may differ: inode, size and time, or an ETag."""

    @property
    def content_type(self) -> str | None:
        """What the place says it is, where it says so."""

    @property
    def ranged(self) -> bool:
        """Whether `open` can begin at any offset without reading what is before it."""

    def open(self, offset: int = 0) -> AbstractContextManager[Stream]:
        """Read from *offset* on. May be called many times, also at once."""

    def check_unchanged(self) -> None:
        """Ask the place again.

        Raises:
            PassingError: `source_changed`; the transfer starts anew.
        """

    def close(self) -> None:
        """Give back what is held. Called twice it does nothing."""


class Descriptor(Protocol):
    """A source that is a file of this machine: parts of it can be read with `os.pread`."""

    def fileno(self) -> int: ...


class Digested(Protocol):
    """A source whose SHA-1 is known before it is read: nothing else of it may be stored.

    None where it turns out not to be known.
    """

    @property
    def sha1(self) -> str | None: ...

    def differs(self, sha1: str) -> JobError:
        """The error for bytes that have the SHA-1 *sha1* instead."""


class Remote(Protocol):
    """A source behind a network: what it says besides `Source`, since nobody can look at it."""

    @property
    def carried(self) -> Carried:
        """Metadata that goes along into B2."""

    @property
    def is_settled(self) -> bool:
        """Whether all that was read is known to be one version: nothing is left to check."""

    @property
    def is_delimited(self) -> bool:
        """Whether a body that was cut short would have been noticed."""


# One attribute tells them apart. `isinstance` would look at every attribute of the protocol anew
# each time: five questions a file were a sixth of the CPU of a small upload.
def is_descriptor(source: object) -> TypeIs[Descriptor]:
    return hasattr(source, "fileno")


def is_digested(source: object) -> TypeIs[Digested]:
    return hasattr(source, "differs")


def is_remote(source: object) -> TypeIs[Remote]:
    return hasattr(source, "is_settled")


def check_unchanged(source: Source) -> None:
    """Ask the place again, where that tells something; see `Source.check_unchanged`."""
    if not (is_remote(source) and source.is_settled):
        source.check_unchanged()


class Sink(Protocol):
    """The target of one download: written beside it, renamed into place when it is right."""

    @property
    def uri(self) -> str: ...

    @property
    def part_path(self) -> str:
        """The file beside the target that holds what has arrived so far."""

    @property
    def part_identity(self) -> str:
        """After `open`: the same exactly when an earlier attempt's part file was kept.

        Write it to the journal; when it differs, nothing in the journal is on this disk.
        """

    def exists(self) -> bool:
        """Whether the target is there already."""

    def identity(self) -> str:
        """Of the target as it is now, differs when its content may differ; empty without one."""

    def sha1(self) -> str | None:
        """Of the target as it is now; None when there is none."""

    def open(self, size: int) -> int:
        """Make room for *size* bytes and return a file descriptor to write with `os.pwrite`.

        An existing part file of the same job is kept: what it holds may be resumed. The
        descriptor stays the sink's. An `OSError` met while writing to it becomes a JobError
        with `failures.destination_error`.

        Raises:
            OperatorError: `disk_full`, `destination_unwritable`, ...
        """

    def commit(self, modified_millis: int | None) -> None:
        """Flush, set the time, rename over the target: all or nothing."""

    def discard(self) -> None:
        """Remove the part file; called twice it does nothing."""

    def close(self) -> None:
        """Let go of the part file and keep it for the next attempt."""
