"""Values of Redis's hashes, read whatever somebody else has written there.

What cannot be read stands as nothing, so that one broken record never keeps the others from being
listed. What is acted on is not read so: see `b2jobs_worker.delivery.claims`.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from b2jobs.errors import Failure


def number(text: object, otherwise: float = 0.0) -> float:
    """A finite number."""
    try:
        found = float(text)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return found if math.isfinite(found) else otherwise


def whole(text: object) -> int:
    """A whole number."""
    return int(number(text))


def moment(seconds: object) -> datetime | None:
    """A time, given in seconds since 1970; None for none, and for what is no time."""
    try:
        return datetime.fromtimestamp(number(seconds), UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def json_object(text: str | None) -> dict[str, Any]:
    """A JSON object."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def failure(text: str | None) -> Failure | None:
    """A failure; one that cannot be read says so."""
    if not text:
        return None
    try:
        return Failure(**json_object(text))
    except (ValueError, TypeError):
        return Failure(
            code="record_broken",
            message="What stands as the failure in the record is none.",
            hint="Something else than b2jobs has written to Redis.",
            act="operator",
        )
