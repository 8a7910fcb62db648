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
from b2jobs.results import TransferResult
from b2jobs_worker.attempt import Interrupted
from b2jobs_worker.batch.ledger.item import Item
from b2jobs_worker.batch.ledger.outcome import Outcome, of_failure, of_result
from b2jobs_worker.batch.ledger.store import Entry, Orders
from b2jobs_worker.batch.pack.item_attempt import ItemAttempt
from b2jobs_worker.batch.pack.mover import Mover
from b2jobs_worker.batch.pack.request import request_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spent:
    """What an item used: calls by class, dollars."""

    calls: Mapping[str, int] = field(default_factory=dict)
    dollars: float = 0.0


class Trying:
    """Runs items by the work of single jobs. For many threads."""

    def __init__(self, movers: Mapping[str, Mover], orders: Orders) -> None:
        self._movers = movers
        self._orders = orders

    def run(
        self, entry: Entry, attempt: ItemAttempt, before: list[Any] | None
    ) -> tuple[Outcome | None, Spent, JobError | None]:
        """Try *entry* once; its outcome, what that used, and the error if it may heal.

        *before* is what earlier attempts noted of it. No outcome: the item was interrupted.
        """
        item = entry.planned
        assert isinstance(item, Item)
        earlier, since, *_ = before or (0, 0.0)
        attempts = entry.earlier + earlier + 1
        began = time.monotonic()
        spent = Spent()
        error: JobError
        try:
            request = request_of(item, self._orders)
            mover = self._movers[item.action]
            result = mover.run(request, attempt)
            made = mover.traces(result)
            spent = Spent(result.calls, result.dollars)
            if item.sha1 and isinstance(result, TransferResult) and result.sha1 != item.sha1:
                if made is not None:
                    mover.undo(request, made)
                raise _other_bytes(item, result)
            millis = _millis(began)
            return of_result(result, attempts=attempts, millis=millis, made=made), spent, None
        except Interrupted:
            return None, spent, None
        except InvalidJob as invalid:
            error = CallerError(invalid.code, str(invalid), hint=invalid.hint)
        except QueueUnavailable as unavailable:
            error = PassingError(unavailable.code, str(unavailable))
        except JobError as failed:
            error = failed
        except Exception as bug:
            logger.exception("%s: a bug ended the item", attempt.job_id)
            error = InternalError("internal_error", f"{type(bug).__name__}: {bug}")
        if error.wait is not None:
            since = since or time.time()
            wait = error.wait.seconds or 0.0
            if time.time() + wait - since <= self._orders.retry_seconds:
                note = Outcome(
                    "again",
                    attempts=earlier + 1,
                    since=since,
                    code=error.code,
                    message=error.message[:200],
                )
                return note, spent, error
        return of_failure(item, _failure(error, attempts), millis=_millis(began)), spent, None


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
