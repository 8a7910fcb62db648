"""What became of one item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from b2jobs.errors import Failure
from b2jobs.ledger import packed_line
from b2jobs.results import DeleteResult, HideResult, Result, TransferResult
from b2jobs_worker.batch.ledger.item import Item, Planned

Status = Literal["transferred", "unchanged", "deleted", "hidden", "failed", "cancelled", "again"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An item's end, or with the status `again` the note that it will be tried once more.

    made: the version this attempt newly made, to be undone if the attempt was outdated.
    since: for `again`, when it first failed, in seconds since the epoch.
    """

    status: Status
    size: int | None = None
    sha1: str | None = None
    file_id: str = ""
    url: str = ""
    attempts: int = 1
    millis: int = 0
    code: str = ""
    message: str = ""
    made: str | None = None
    since: float = 0.0

    @property
    def moved_bytes(self) -> int:
        return (self.size or 0) if self.status == "transferred" else 0

    def line(self) -> str:
        """As JSON for Redis, from `status` on in the order of the ledger's fields."""
        if self.status == "again":
            return packed_line([self.attempts, self.since, self.code, self.message])
        return packed_line(
            [
                self.status,
                self.size,
                self.sha1,
                self.file_id,
                self.url,
                self.attempts,
                self.millis,
                self.code,
                self.message,
            ]
        )


def of_result(result: Result, *, attempts: int, millis: int, made: str | None) -> Outcome:
    """The outcome of an item whose job succeeded with *result*."""
    if isinstance(result, TransferResult):
        return Outcome(
            status=result.status,
            size=result.size,
            sha1=result.sha1,
            file_id=result.file_id,
            url=result.url,
            attempts=attempts,
            millis=millis,
            made=made,
        )
    status: Status = "deleted"
    if isinstance(result, DeleteResult | HideResult):
        status = result.status
    return Outcome(status=status, attempts=attempts, millis=millis)


def of_failure(planned: Planned, failure: Failure, *, millis: int = 0) -> Outcome:
    """The outcome of an item that cannot be done; sizes and digests are what was expected."""
    return Outcome(
        status="cancelled" if failure.code == "cancelled" else "failed",
        size=planned.size if isinstance(planned, Item) else None,
        sha1=planned.sha1 if isinstance(planned, Item) else None,
        attempts=failure.attempts,
        millis=millis,
        code=failure.code,
        message=failure.message,
    )


def ledger_line(position: int, planned: Planned, outcome: list[Any]) -> str:
    """The line of the ledger for an item and its `Outcome.line`, read from JSON.

    What is not done keeps its options, so that it can be planned again from the ledger.
    """
    is_item = isinstance(planned, Item)
    action = planned.action if isinstance(planned, Item) else "refused"
    options = None
    if isinstance(planned, Item) and outcome[0] in ("failed", "cancelled"):
        options = dict(planned.options) or None
    full = [*outcome, *([None] * (9 - len(outcome)))]
    if is_item and outcome[0] in ("failed", "cancelled"):
        full[8] = (full[8] or "")[:300]
    return packed_line(
        [position, action, planned.source, planned.destination, *full, planned.line, options]
    )


def planned_again(line: list[Any]) -> Item | None:
    """The item of a ledger line that was not done; None for one that never can be."""
    _, action, source, destination, _, size, sha1, *_, number, options = line
    if action == "refused":
        return None
    return Item(action, source, destination, size, sha1, number or 0, options or {})
