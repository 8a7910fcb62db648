"""One try of one item: from whatever happens to an outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from b2jobs.errors import (
    CallerError,
    Failure,
    InternalError,
    InvalidJob,
    JobError,
    PassingError,
    QueueUnavailable,
)
from b2jobs.items import Item
from b2jobs.results import TransferResult
from b2jobs_worker.attempt import Interrupted
from b2jobs_worker.batch.ledger.outcome import Again, Outcome, of_failure, of_result
from b2jobs_worker.batch.ledger.packs import Entry, Orders
from b2jobs_worker.batch.pack.item_attempt import ItemAttempt
from b2jobs_worker.batch.pack.request import request_of
from b2jobs_worker.work import Work

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tried:
    """What one try of an item came to.

    found: its end, or the note that it failed for now; None where it was interrupted.
    error: what it failed with for now.
    made: the version it newly made, to be undone if the attempt was outdated.
    calls: by class.
    """

    found: Outcome | Again | None
    error: JobError | None = None
    made: str | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    dollars: float = 0.0


class Trying:
    """Runs items by the work of single jobs. For many threads."""

    def __init__(self, movers: Mapping[str, Work[Any]], orders: Orders) -> None:
        self._movers = movers
        self._orders = orders

    def run(self, entry: Entry, attempt: ItemAttempt, before: Again | None) -> Tried:
        """Try *entry* once. *before* is what earlier attempts noted of it."""
        item = entry.planned
        assert isinstance(item, Item)
        before = before or Again(0, 0.0)
        attempts = entry.earlier + before.attempts + 1
        began = time.monotonic()
        made: str | None = None
        calls: Mapping[str, int] = {}
        dollars = 0.0
        try:
            request = request_of(item, self._orders)
            attempt.permit.request(request, is_item=True)
            attempt.permit.size(item.size)
            mover = self._movers[item.action]
            result = mover.run(request, attempt)
            made, calls, dollars = mover.traces(result), result.calls, result.dollars
            if item.sha1 and isinstance(result, TransferResult) and result.sha1 != item.sha1:
                if made is not None:
                    mover.undo(request, made)
                raise _other_bytes(item, result)
            outcome = of_result(result, attempts=attempts, millis=_millis(began))
            return Tried(outcome, None, made, calls, dollars)
        except Interrupted:
            return Tried(None, None, made, calls, dollars)
        except (JobError, InvalidJob, QueueUnavailable) as error:
            raised = _as_job_error(error)
        except Exception as bug:
            logger.exception("%s: a bug ended the item", attempt.job_id)
            raised = InternalError("internal_error", f"{type(bug).__name__}: {bug}")
        note = self._note(raised, before)
        if note is not None:
            return Tried(note, raised, made, calls, dollars)
        outcome = of_failure(item, _failure(raised, attempts), millis=_millis(began))
        return Tried(outcome, None, None, calls, dollars)

    def _note(self, error: JobError, before: Again) -> Again | None:
        """That the item is tried once more; None when its error or its budget forbids it."""
        since = before.since or time.time()
        if error.wait is None:
            return None
        if error.wait.reason == "budget":  # nothing was tried, and its time begins anew
            return Again(before.attempts, 0.0, error.code, error.message[:200])
        if time.time() + (error.wait.seconds or 0.0) - since > self._orders.retry_seconds:
            return None
        return Again(before.attempts + 1, since, error.code, error.message[:200])


def _as_job_error(error: JobError | InvalidJob | QueueUnavailable) -> JobError:
    match error:
        case InvalidJob():
            return CallerError(error.code, str(error), hint=error.hint)
        case QueueUnavailable():
            return PassingError(error.code, str(error))
    return error


def _failure(error: JobError, attempts: int) -> Failure:
    message = f"{error.message} {error.hint}".strip()
    return error.failure(attempts).model_copy(update={"message": message})


def _millis(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _other_bytes(item: Item, result: TransferResult) -> CallerError:
    return CallerError(
        "sha1_differs",
        f"The bytes have the SHA-1 {result.sha1}; the plan says {item.sha1}.",
        hint="Correct the manifest, or find out what changed the source.",
    )
