"""A plan from items that a producer streams in."""

from __future__ import annotations

from collections.abc import Iterable

from b2jobs.errors import CallerError, PassingError, QueueUnavailable
from b2jobs.items import Planned, unpacked
from b2jobs.ledger import readable
from b2jobs_worker.batch.ledger.feed import SILENCE_SECONDS, Feed, Look
from b2jobs_worker.batch.plan.source import Forecast, NotYet


class FeedPlan:
    """Implements `PlanSource`. A cursor is a chunk and how many of its items are planned.

    Chunks before the written cursor are dropped, and only those: what this plan has given is
    not yet in a pack. The producer waits while too many are there. Ten minutes without a new
    one and without the end count as a producer that died.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def forecast(self) -> Forecast:
        return Forecast()

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        number, done = map(int, cursor.split(":")) if cursor else (0, 0)
        while True:
            look = self._look(number)
            if look.is_end(number):
                return
            if look.is_broken():
                raise _broken(number, look)
            if look.rows is None:
                raise NotYet(5.0)
            for at in range(done, len(look.rows)):
                with readable():
                    item = unpacked(look.rows[at])
                yield f"{number}:{at + 1}", item
            if look.broke:
                raise CallerError("feed_broken", look.broke, hint=_DONE)
            number, done = number + 1, 0

    def _look(self, number: int) -> Look:
        try:
            look = self._feed.look(number)
            self._feed.drop_before(look.passed)
        except QueueUnavailable as error:
            raise PassingError(error.code, str(error)) from error
        return look


_DONE = "What came is done. Submit the rest as another batch."


def _broken(number: int, look: Look) -> CallerError:
    if look.chunks is not None:
        return CallerError("feed_broken", f"Chunk {number} of {look.chunks} is gone.", hint=_DONE)
    return CallerError(
        "feed_broken",
        f"No items came for {SILENCE_SECONDS:g} s and the producer did not end.",
        hint=_DONE,
    )
