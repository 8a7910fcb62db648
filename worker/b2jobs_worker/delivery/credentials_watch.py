"""Jobs that wait for credentials go on when the secrets file changes.

A waiting job looks again by itself within `retry.CREDENTIALS_LOOK_SECONDS`; here all of them
are made due at once, by whichever worker sees its file change.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from b2jobs.errors import QueueUnavailable
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs_worker.settings import Settings

LOOK_SECONDS = 0.5
WAKE_AFTER_SECONDS = (0.0, 5.0)
"""The second time for those that were told of the old key when the new one came."""
_PAGE = 500

logger = logging.getLogger(__name__)


class CredentialsWatch:
    """Looks at the secrets file twice a second, in a thread of its own; one `stat` each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = threading.Thread(target=self._watch, name="b2jobs-credentials", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _watch(self) -> None:
        path = self._settings.secrets_file
        records = Records(
            self._settings.redis_url,
            self._settings.key_prefix,
            self._settings.redis_timeout_seconds,
        )
        seen = _state(path)
        due: list[float] = []
        while True:
            time.sleep(LOOK_SECONDS)
            now = _state(path)
            if now != seen:
                seen = now
                due = [time.monotonic() + after for after in WAKE_AFTER_SECONDS]
            if due and time.monotonic() >= due[0]:
                try:
                    count = wake(records, self._settings.redis_url)
                except QueueUnavailable as error:
                    logger.warning("the secrets file %s has changed; %s", path, error)
                    continue
                del due[0]
                logger.info("the secrets file %s has changed; %d waiting jobs go on", path, count)


def wake(records: Records, redis_url: str, reason: str = "credentials") -> int:
    """Make every job due that waits for *reason*; how many there were.

    One that has gone on by itself meanwhile is not touched, and one whose credentials are
    elsewhere waits again.

    Raises:
        QueueUnavailable
    """
    with unavailable(redis_url):
        waiting = [str(each) for each in records.redis.zrange(f"{records.prefix}waiting", 0, -1)]
    return sum(
        int(records.door.call("keeper/hasten", ids=waiting[start : start + _PAGE], reason=reason))
        for start in range(0, len(waiting), _PAGE)
    )


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes when the file does, its mode and owner included; None while it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (
        status.st_mtime_ns,
        status.st_ino,
        status.st_dev,
        status.st_size,
        status.st_mode,
        status.st_uid,
    )
