"""What the parts of the planner work with during one step of one batch."""

from __future__ import annotations

from dataclasses import dataclass

from b2jobs.errors import Failure
from b2jobs.requests import Job
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.packs import Change, Orders
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.batch.planner.archive import Archive


@dataclass(frozen=True)
class Desk:
    """One batch as the planner has it. Every write is fenced: an outdated planner writes nothing.

    archive: where its ledger is kept outside Redis; None where the batch names no place.
    orders: what holds for all its items.
    """

    request: Job
    attempt: Attempt
    store: Store
    archive: Archive | None
    orders: Orders

    @property
    def batch(self) -> str:
        """The id of the batch."""
        return self.attempt.job_id

    def state(self) -> dict[str, str]:
        """The batch's hash, as it is now: cursor, counters, flags."""
        return self.store.state(self.attempt)

    def packs(self) -> dict[str, tuple[str, Failure | None]]:
        """The packs under way, as they are now; see `Store.packs`."""
        return self.store.packs(self.attempt)

    def note(self, **fields: object) -> None:
        """Write into the batch's hash.

        Raises:
            Interrupted: the batch is not ours any more.
        """
        self.store.note(self.attempt, **fields)

    def write(self, change: Change) -> None:
        """Carry out a change, all of it or nothing.

        Raises:
            Interrupted: the batch is not ours any more.
        """
        self.store.write(self.attempt, change, priority=self.request.priority, orders=self.orders)
