"""Finding what occurs twice in a stream of any length, in constant memory.

Each value's hash goes into one of 256 files on disk; a duplicate is in the same file. Twelve
bytes of hash: among 10^9 values the chance of a false hit is 10^-11. Disk: 20 bytes a value.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_RECORD = struct.Struct(">12sQ")
_BUFFER_BYTES = 32 * 1024
_FILES = 256


class DuplicateFinder:
    """Add values with a number each, then ask which numbers repeat an earlier value."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="b2jobs-duplicates-")
        self._buffers = [bytearray() for _ in range(_FILES)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def add(self, number: int, value: str) -> None:
        """Count *value* in; numbers must rise."""
        digest = hashlib.blake2b(value.encode(errors="surrogatepass"), digest_size=12).digest()
        buffer = self._buffers[digest[0]]
        buffer += _RECORD.pack(digest, number)
        if len(buffer) >= _BUFFER_BYTES:
            self._spill(digest[0])

    def repeats(self) -> list[int]:
        """The numbers whose value was there before, in ascending order."""
        found: list[int] = []
        for bucket in range(_FILES):
            seen: set[bytes] = set()
            path = self._path(bucket)
            content = path.read_bytes() if path.exists() else b""
            for digest, number in _RECORD.iter_unpack(content + bytes(self._buffers[bucket])):
                if digest in seen:
                    found.append(number)
                seen.add(digest)
        return sorted(found)

    def _spill(self, bucket: int) -> None:
        with self._path(bucket).open("ab") as file:
            file.write(self._buffers[bucket])
        self._buffers[bucket].clear()

    def _path(self, bucket: int) -> Path:
        return Path(self._folder.name) / f"{bucket:02x}"
