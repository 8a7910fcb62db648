"""The attempt at one item, inside the attempt at its pack."""

from __future__ import annotations

import threading
from typing import Protocol

from b2jobs_worker.attempt import Attempt, InterruptibleAttempt, Journal


class PackAttempt(Protocol):
    """What an item asks of its pack."""

    @property
    def attempt(self) -> Attempt: ...

    @property
    def journal(self) -> PackJournal: ...

    def guard(self, *, anew: bool = False) -> None:
        """`Attempt.guard`, for all items together."""

    def moved(self) -> None:
        """An item has got on."""


class ItemAttempt(InterruptibleAttempt):
    """Implements `attempt.Attempt` for one item.

    Its `job_id` is the tag of the version it makes: the batch and the item's position, the
    same in every pack and every attempt.
    """

    def __init__(self, pack: PackAttempt, tag: str, number: int, position: int) -> None:
        super().__init__()
        self.permit, self.trace = pack.attempt.permit, pack.attempt.trace
        self.job_id = tag
        self.number = number
        self.fence = pack.attempt.fence
        self.journal: Journal = ItemJournal(pack.journal, position)
        self.done_bytes = 0
        self.total_bytes: int | None = None
        self.phase = ""
        self._pack = pack

    def checkpoint(self) -> None:
        if self._interrupted is not None:
            super().checkpoint()
        self._pack.attempt.checkpoint()

    def guard(self, *, anew: bool = False) -> None:
        self._pack.guard(anew=anew)
        self.checkpoint()

    def progress(self, phase: str, done_bytes: int, total_bytes: int | None = None) -> None:
        self.permit.size(total_bytes or done_bytes)
        self.phase, self.done_bytes, self.total_bytes = phase, done_bytes, total_bytes
        self._pack.moved()


class PackJournal:
    """A pack's journal, read once. Items of a first attempt cost no question at all."""

    def __init__(self, attempt: Attempt) -> None:
        self._journal = attempt.journal
        self._lock = threading.Lock()
        self._fields: dict[str, str] | None = {} if attempt.number == 1 else None

    def load(self, prefix: str) -> dict[str, str]:
        """The fields that begin with *prefix*, without it."""
        with self._lock:
            if self._fields is None:
                self._fields = self._journal.load()
            return {
                name.removeprefix(prefix): text
                for name, text in self._fields.items()
                if name.startswith(prefix) and text
            }

    def record(self, prefix: str, fields: dict[str, str]) -> None:
        """Write *fields* behind *prefix*. Empty text stands for a field that is gone."""
        named = {prefix + name: text for name, text in fields.items()}
        self._journal.record(named)
        with self._lock:
            if self._fields is not None:
                self._fields.update(named)


class ItemJournal:
    """The fields of one item in its pack's journal."""

    def __init__(self, journal: PackJournal, position: int) -> None:
        self._journal = journal
        self._prefix = f"{position}:"

    def load(self) -> dict[str, str]:
        return self._journal.load(self._prefix)

    def record(self, fields: dict[str, str]) -> None:
        self._journal.record(self._prefix, fields)

    def clear(self) -> None:
        # The other items keep theirs; the pack's end removes all of it.
        gone = dict.fromkeys(self.load(), "")
        if gone:
            self.record(gone)
