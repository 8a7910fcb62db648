"""What planners and packs of a batch hand each other through Redis, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from b2jobs.items import Planned
from b2jobs_worker.batch.ledger.outcome import Again, Outcome

MOST_NEW_PACKS = 128
"""In one change: more of them would hold Redis up."""


@dataclass(frozen=True)
class Entry:
    """One item of a pack: its position in the plan, and the attempts of earlier packs at it."""

    position: int
    earlier: int
    planned: Planned


@dataclass(frozen=True)
class Orders:
    """What holds for all items of a batch unless they say otherwise."""

    account: str
    if_exists: str | None
    retry_seconds: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What the files that are made in B2 carry."""
    customer_key: str | None = None
    """Reads sources in B2 of which the plan does not know how they are encrypted."""
    source_account: str | None = None
    """Whose key reads what is copied, where it is not that of *account*."""


@dataclass(frozen=True)
class NewPack:
    """A pack that is about to be queued."""

    number: int
    entries: Sequence[Entry]


@dataclass
class Change:
    """What one write of the planner changes, all of it or nothing."""

    fields: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    segments: dict[int, bytes] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    packs: list[NewPack] = field(default_factory=list)


@dataclass(frozen=True)
class OpenPack:
    """A pack as Redis has it: its items, the outcomes so far, and what failed for now.

    outcomes, tries: by position.
    """

    orders: Orders
    entries: list[Entry]
    outcomes: dict[int, Outcome]
    tries: dict[int, Again]


def pack_name(batch: str, number: int) -> str:
    """The id of a pack."""
    return f"{batch}.p{number:06}"
