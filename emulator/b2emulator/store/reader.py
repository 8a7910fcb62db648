"""Reading content: where its bytes are, and the bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from b2emulator.store.bodies import FILE, INLINE, BodyStore, Content

BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Span:
    """*length* bytes that are in *data*, or in the file *path* from *offset*, or zeros."""

    length: int
    offset: int = 0
    data: bytes | None = None
    path: Path | None = None


class ContentReader:
    """Turns content into spans (on the loop's thread) and spans into bytes (on any)."""

    def __init__(self, bodies: BodyStore) -> None:
        self._bodies = bodies

    def spans(self, content: Content) -> list[Span]:
        spans = []
        for piece in content:
            place, data = self._bodies.place(piece.body)
            if place == INLINE:
                data = (data or b"")[piece.offset : piece.offset + piece.length]
                spans.append(Span(piece.length, data=data))
            elif place == FILE:
                path = self._bodies.path(piece.body)
                spans.append(Span(piece.length, piece.offset, path=path))
            else:
                spans.append(Span(piece.length))
        return spans

    async def digests(self, content: Content) -> tuple[str, str]:
        """(SHA-1, MD5) of *content*, computed beside the event loop."""
        return await asyncio.to_thread(_digests, self.spans(content))


def blocks(span: Span) -> Iterator[bytes]:
    """The bytes of *span*, a block at a time."""
    if span.data is not None:
        yield span.data
        return
    if span.path is None:
        for start in range(0, span.length, BLOCK_BYTES):
            yield bytes(min(BLOCK_BYTES, span.length - start))
        return
    file = os.open(span.path, os.O_RDONLY)
    try:
        done = 0
        while done < span.length:
            block = os.pread(file, min(BLOCK_BYTES, span.length - done), span.offset + done)
            if not block:
                raise OSError(f"{span.path} is shorter than the index says")
            done += len(block)
            yield block
    finally:
        os.close(file)


def _digests(spans: list[Span]) -> tuple[str, str]:
    sha1, md5 = hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    for span in spans:
        for block in blocks(span):
            sha1.update(block)
            md5.update(block)
    return sha1.hexdigest(), md5.hexdigest()
