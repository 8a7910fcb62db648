"""The keeper as a part of a Celery worker."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import bootsteps

from b2jobs.errors import QueueUnavailable
from b2jobs_worker.celery.about import About
from b2jobs_worker.delivery.keeper import ROUND_SECONDS, Keeper
from b2jobs_worker.settings import current

logger = logging.getLogger(__name__)


class KeeperStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery publishes no types
    """Runs a keeper beside the worker, in a thread of its own."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, parent: Any) -> None:
        about = About(int(parent.concurrency))
        keeper = Keeper(current(), str(parent.hostname), about.now)
        self._thread = threading.Thread(
            target=self._keep, args=(keeper,), name="b2jobs-keeper", daemon=True
        )
        self._thread.start()

    def stop(self, parent: Any) -> None:
        del parent
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * ROUND_SECONDS)

    def terminate(self, parent: Any) -> None:
        self.stop(parent)

    def _keep(self, keeper: Keeper) -> None:
        while not self._stop.is_set():
            try:
                keeper.round()
            except QueueUnavailable as error:
                keeper.redis_was_away()
                logger.warning("keeper: %s", error)
            except Exception:
                logger.exception("keeper: a round failed")
            self._stop.wait(ROUND_SECONDS)
        try:
            keeper.resign()
        except QueueUnavailable as error:
            logger.info("keeper: could not resign: %s", error)
