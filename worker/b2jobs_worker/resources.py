"""What one process of a worker has: one object, made at its first use."""

from __future__ import annotations

import gc
import logging
import threading
from functools import cache

from b2jobs.connection import connect
from b2jobs.errors import QueueUnavailable
from b2jobs.fleet_limit import FleetLimits
from b2jobs.records import Records
from b2jobs_worker import transfer
from b2jobs_worker.b2.budget import RedisBudgets
from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.b2.redis_governor import RedisGovernor
from b2jobs_worker.b2.tally import used
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.config_file import config_path
from b2jobs_worker.delivery.claims import Claims
from b2jobs_worker.delivery.credentials_watch import wake
from b2jobs_worker.delivery.leases import Leases
from b2jobs_worker.live_limits import LiveLimits
from b2jobs_worker.settings import Settings, current
from b2jobs_worker.sync.digests import DigestCache

logger = logging.getLogger(__name__)

_making = threading.RLock()


class Resources:
    """Shared by all threads of the process. What is costly is made when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.records = Records(
            settings.redis_url,
            settings.key_prefix,
            settings.redis_timeout_seconds,
            settings.ring(),
        )
        self.records.ring.told = used.refused
        self.limits = LiveLimits(
            settings,
            config_path(),
            changed=self._go_on,
            fleet=FleetLimits(self.records).heeded,
        )
        self.claims = Claims(self.records, settings)
        self.leases = Leases(self.claims)
        self.store = Store(
            self.records,
            settings.keep_failures_seconds,
            keeps_content=settings.keep_staged_seconds > 0,
        )
        self._context: transfer.Context | None = None
        self._digests: DigestCache | None = None

    @property
    def context(self) -> transfer.Context:
        """What all transfers of this process share."""
        with _making:
            if self._context is None:
                self._context = self._make_context()
            return self._context

    @property
    def digests(self) -> DigestCache:
        """The digests of local files that are known."""
        with _making:
            if self._digests is None:
                folder = self.settings.cache_folder
                path = folder.expanduser() / "digests.sqlite" if folder else None
                self._digests = DigestCache(path)
            return self._digests

    def concurrency(self) -> dict[str, int]:
        """How many requests of each account this process may have under way at once now."""
        context = self._context
        return {} if context is None else context.accounts.concurrency()

    def _go_on(self) -> None:
        """The budgets may have been raised: who waits for them looks again."""
        try:
            wake(self.records, self.settings.redis_url, "budget")
        except QueueUnavailable as error:
            logger.warning("jobs that wait for their budget are not told: %s", error)

    def _make_context(self) -> transfer.Context:
        settings = self.settings
        governor = RedisGovernor(
            connect(settings.redis_url, settings.redis_timeout_seconds),
            f"{settings.key_prefix}b2jobs:",
            rates=self.limits.rates,
            url=settings.redis_url,
        )
        made = transfer.build_context(
            settings,
            governor=governor,
            budgets=RedisBudgets(
                self.records.door, self.limits.budget, lambda: Prices(**settings.prices)
            ),
            pieces=self.records.pieces,
        )
        # What is loaded by now stays: the collector need not walk it again and again, which
        # would be a sixth of what a small upload costs.
        gc.collect()
        gc.freeze()
        return made


@cache
def _made() -> Resources:
    return Resources(current())


def resources() -> Resources:
    """The resources of this process. A worker's parent has none when it forks (children.py)."""
    with _making:
        return _made()


def store() -> Store:
    """The batches' store of this process."""
    return resources().store


def context() -> transfer.Context:
    """What all transfers of this process share."""
    return resources().context
