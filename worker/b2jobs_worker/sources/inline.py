"""Bytes that stand in the job itself, as the source of an upload."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager

from b2jobs.locations import InlineData


class InlineSource:
    """At most 256 KiB in memory. They cannot change and have no time."""

    modified_millis: int | None = None
    ranged = True

    def __init__(self, location: InlineData) -> None:
        self._content = location.content
        self.size: int | None = len(location.content)
        self.identity = hashlib.sha256(location.content).hexdigest()
        self.content_type: str | None = location.content_type or None
        # Not the bytes: this ends up in messages.
        self.uri = f"data:{location.content_type} of {self.size} bytes"

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[io.BytesIO]:
        with io.BytesIO(self._content[offset:]) as stream:
            yield stream

    def check_unchanged(self) -> None:
        """Nothing to ask."""

    def close(self) -> None:
        """Nothing to give back."""
