"""One line of a plan: what to do with one file, or why it cannot be done.

The same pair from a manifest's line to its pack, in producers and workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["upload", "download", "copy", "delete", "hide", "remove"]

_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a plan.

    source, destination: locations as a single job names them; `delete`, `hide` and
        `remove` (a local file) have only a destination.
    size: in bytes where the plan knows it; decides how items are packed and what a dry run
        adds up. Not trusted for anything else.
    sha1: 40 hex digits the bytes must have; an item with other bytes fails.
    line: where the item stands in its manifest, from 1; 0 where there is none.
    options: further arguments of the job of that kind (`if_exists`, `content_type`, `info`,
        `versions`, ...); they win over the batch's own.
    """

    action: Action
    source: str
    destination: str
    size: int | None = None
    sha1: str | None = None
    line: int = 0
    options: Mapping[str, Any] = field(default_factory=lambda: _NONE)

    def packed(self) -> list[Any]:
        """As JSON, without what is at its default at the end."""
        fields: list[Any] = [
            self.action,
            self.source,
            self.destination,
            self.size,
            self.sha1,
            self.line or None,
            dict(self.options) or None,
        ]
        while fields[-1] is None:
            fields.pop()
        return fields


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line of a plan that cannot be done. It moves nothing and stands in the ledger.

    item: what it would be, where the reason may go away (a bucket that is made, a link that
        is mended): `retry` tries that. None for a line that can never be done.
    """

    code: str
    message: str
    source: str = ""
    destination: str = ""
    line: int = 0
    item: Item | None = None

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else self.source or self.destination
        return f"{where}: {self.message} [{self.code}]"

    def packed(self) -> list[Any]:
        """As JSON; told from an item by its first field."""
        item = self.item.packed() if self.item else None
        return ["refused", self.source, self.destination, self.code, self.message, self.line, item]


Planned = Item | Refusal


def refused(item: Item, code: str, message: str, *, for_now: bool = False) -> Refusal:
    """Why *item* cannot be done; *for_now* if the reason may go away."""
    return Refusal(
        code, message, item.source, item.destination, item.line, item if for_now else None
    )


def unpacked(fields: list[Any]) -> Planned:
    """The item or refusal that `packed` made."""
    if fields[0] == "refused":
        _, source, destination, code, message, line, packed = fields
        return Refusal(code, message, source, destination, line, _item(packed) if packed else None)
    return _item(fields)


def _item(fields: list[Any]) -> Item:
    full = [*fields, *([None] * (7 - len(fields)))]
    action, source, destination, size, sha1, line, options = full
    return Item(action, source, destination, size, sha1, line or 0, options or _NONE)
