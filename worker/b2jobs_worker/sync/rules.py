"""What a sync was asked to do, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down", "copy"]
Compare = Literal["modtime", "size", "sha1", "none"]
Newer = Literal["fail", "skip", "replace"]
Deletion = Literal["keep", "hide", "remove", "keep_days"]

SAME_TIME_MILLIS = 1
"""Times this close are the same: b2sdk truncates a float, rclone an integer."""


@dataclass(frozen=True)
class Rules:
    """direction: up (to B2), down (from B2) or copy (inside B2).

    newer: what to do where the destination is the newer one, comparing by time.
    deletion: what becomes of files the source has not; `keep_days` hides them, and removes
    what has not been visible for `keep_days` days.
    """

    direction: Direction
    compare: Compare = "modtime"
    newer: Newer = "fail"
    deletion: Deletion = "keep"
    keep_days: float = 0.0
    now_millis: int = 0
    same_millis: int = SAME_TIME_MILLIS

    @property
    def needs_versions(self) -> bool:
        """Whether the destination's old versions must be listed too."""
        return self.direction != "down" and self.deletion in ("remove", "keep_days")
