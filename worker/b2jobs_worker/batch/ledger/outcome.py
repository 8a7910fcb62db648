"""What became of one item."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from b2jobs.errors import Failure
from b2jobs.for_people import has_content, masked
from b2jobs.items import Action, Item, Planned
from b2jobs.ledger import LedgerLine, packed_line
from b2jobs.results import DeleteResult, HideResult, Result, TransferResult

Status = Literal["transferred", "unchanged", "deleted", "hidden", "failed", "cancelled"]
_LONGEST_MESSAGE = 300


class Outcome(NamedTuple):
    """An item's end: the middle of its line in the ledger, in that order."""

    status: Status
    size: int | None = None
    sha1: str | None = None
    file_id: str = ""
    url: str = ""
    attempts: int = 0
    millis: int = 0
    code: str = ""
    message: str = ""

    @property
    def moved_bytes(self) -> int:
        return (self.size or 0) if self.status == "transferred" else 0

    @property
    def is_done(self) -> bool:
        return self.status not in ("failed", "cancelled")


class Again(NamedTuple):
    """The note that an item failed for now. since: when first, in seconds since the epoch."""

    attempts: int
    since: float
    code: str = ""
    message: str = ""


def of_result(result: Result, *, attempts: int, millis: int) -> Outcome:
    """The outcome of an item whose job succeeded with *result*."""
    if isinstance(result, TransferResult):
        return Outcome(
            result.status, result.size, result.sha1, result.file_id, result.url, attempts, millis
        )
    status: Status = "deleted"
    if isinstance(result, DeleteResult | HideResult) and result.status != "shown":
        status = result.status
    return Outcome(status, attempts=attempts, millis=millis)


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


def ledger_line(position: int, planned: Planned, outcome: Outcome) -> str:
    """The line of the ledger for an item and its outcome.

    What is not done keeps all it needs to be planned again from the ledger; the action of a
    line that never can be is `refused`. The content of a `data:` location is gone with its item's
    end, unless `kept` has put it elsewhere, as bytes that were handed over are with their job's:
    such a line can not be, either. What is done does not keep what opens a URL.
    """
    item = planned if isinstance(planned, Item) else planned.item
    if item is not None and not outcome.is_done and has_content(item.source):
        item = None
    options = None
    source = planned.source
    if item is None or outcome.is_done:
        source = masked(source)
    else:
        # What was there when it was planned says nothing when it is tried again.
        options = {name: said for name, said in item.options.items() if name != "listed"} or None
        outcome = outcome._replace(
            size=item.size, sha1=item.sha1, message=outcome.message[:_LONGEST_MESSAGE]
        )
    action = "refused" if item is None else item.action
    return packed_line(
        (
            *(position, action, source, planned.destination),
            *outcome,
            *(planned.line, options),
        )
    )


def planned_again(line: LedgerLine) -> Item | None:
    """The item of a ledger line that was not done; None for one that never can be."""
    if line.action == "refused":
        return None
    return Item(
        cast("Action", line.action),
        line.source,
        line.destination,
        line.size,
        line.sha1,
        line.line or 0,
        line.options or {},
    )
