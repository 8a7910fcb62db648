"""Which refusals of one request are tried again at once, inside the attempt, for seconds.

Whatever takes longer ends the attempt, and delivery decides: no slot sleeps for minutes.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from b2jobs.errors import JobError
from b2jobs_worker.b2.governor import SHORT_PAUSE_SECONDS

PAUSES_SECONDS = (0.1, 0.4, 1.2)
"""Before the second, third and fourth try; about half to all of each is waited."""

_MOST_TRIES = {
    "connection_broken": 4,
    "service_unavailable": 4,
    "service_failed": 4,
    "upload_url_refused": 4,
    "upload_url_busy": 4,
    "rate_limited": 3,
    "token_refused": 2,
    "checksum_mismatch": 2,
    "timeout": 2,
    "answer_unreadable": 2,
}
OVERLOADED = frozenset({"service_unavailable", "service_failed", "rate_limited", "timeout"})
DOUBTFUL = OVERLOADED | {"connection_broken", "answer_unreadable", "b2_unknown_error"}
"""After these B2 may have done what was asked, or do it yet: 503 and 429 are seen after the
effect too."""


def pause_before_next(
    error: JobError, tries: int, chance: Callable[[], float] = random.random
) -> float | None:
    """Seconds to wait before trying again after *tries* tries; None when it is not tried again."""
    if tries >= _MOST_TRIES.get(error.code, 1):
        return None
    asked = error.wait.seconds if error.wait else None
    if asked is not None:
        return asked if asked <= SHORT_PAUSE_SECONDS else None
    return PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS)) - 1] * (0.5 + chance() / 2)
