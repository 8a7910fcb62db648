"""Staged bytes in Redis: what a producer hands over, in pieces of 1 MiB, until its job ends."""

from __future__ import annotations

from typing import cast

from redis import Redis

from b2jobs.errors import InvalidJob, QueueUnavailable
from b2jobs.redis.door import Door, unavailable

PIECE_BYTES = 1024 * 1024
"""Of each piece but the last. One call of Redis moves one, so memory is a few of them."""

OTHER_WAYS = (
    "Put the file where the workers see it too (a root, data://ROOT/path), or into an object "
    "store or behind https (s3://BUCKET/key, https://host/path), and name that as the source."
)


class Pieces:
    """The staged bytes of one installation. Thread-safe."""

    def __init__(self, redis: Redis, door: Door, prefix: str, url: str) -> None:
        self._redis = redis
        self._door = door
        self._prefix = prefix
        self._url = url

    def put(self, staged: str, number: int, piece: bytes, *, most: int, all_: int | None) -> None:
        """Write a piece; the same again takes its place.

        *most*, *all_*: how many bytes one job, and all jobs together, may have; 0 for all_ is
        a share of Redis's memory, None does not ask.

        Raises:
            InvalidJob: `staged_too_large`, or `staged_gone`: the producer fell asleep.
            QueueUnavailable: or `staged_full`.
        """
        word, limit = self._door.call(
            "staged/put", piece, id=staged, number=number, most=most, all=all_
        )
        if word == "too_large":
            raise too_large(int(limit))
        if word == "full":
            raise StagingFull(
                f"The jobs that are under way hold all of the {int(limit)} bytes of Redis that "
                "handed-over bytes may take."
            )
        if word == "gone":
            raise gone()

    def keep(self, staged: str, owner: str) -> None:
        """Make what was staged *owner*'s, a batch that may be run again."""
        self._door.call("staged/keep", id=staged, owner=owner)

    def drop(self, staged: str, *, owner: str = "") -> None:
        """Remove what *owner* has, or no job yet."""
        self._door.call("staged/drop", id=staged, owner=owner)

    def total(self) -> int:
        """How many bytes of all producers are in Redis."""
        with unavailable(self._url):
            return int(cast("str | None", self._redis.get(f"{self._prefix}staged_bytes")) or 0)

    def piece(self, staged: str, number: int) -> bytes | None:
        """A piece, None where it is not there."""
        with unavailable(self._url):
            key = f"{self._prefix}staged:{staged}"
            found = self._redis.execute_command(  # type: ignore[no-untyped-call]  # theirs
                "HGET", key, number, NEVER_DECODE=True
            )
        return cast("bytes | None", found)


class StagingFull(QueueUnavailable):
    """Redis has no room for more bytes of producers; there is when jobs have ended."""

    code = "staged_full"
    hint = f"Try again when jobs have ended. {OTHER_WAYS}"


def too_large(limit: int, size: int | None = None) -> InvalidJob:
    """The refusal of bytes beyond what one job may hand over."""
    given = "More" if size is None else f"{size} bytes"
    return InvalidJob(
        f"{given} cannot be handed over with a job: it takes {limit} bytes at most "
        "(B2JOBS_STAGED_BYTES).",
        code="staged_too_large",
        hint=OTHER_WAYS,
        field="source",
    )


def gone() -> InvalidJob:
    """The refusal of a job whose bytes are not there."""
    return InvalidJob(
        "The bytes that were handed over are not in Redis any more.",
        code="staged_gone",
        hint="They are kept until their job ends, and for ten minutes while they are written. "
        "Upload them again.",
        field="source",
    )
