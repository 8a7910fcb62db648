"""Faults on request: which calls they meet, and how often.

A rule names a fault and the calls it is for; `next`, `every` and `probability`
say how often it strikes, `skip` how many calls it lets pass first.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from b2emulator.errors import bad_request
from b2emulator.faults.effects import FAULTS, Effects, apply
from b2emulator.journal import Entry


def _is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _HIGHEST
    )


def _is_count(value: object) -> bool:
    return _is_number(value) and isinstance(value, int)


_HIGHEST = 2**53
_TYPES: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("part", "next", "skip", "bytes", "retry_after"), _is_count),
    **dict.fromkeys(("seconds", "probability"), _is_number),
    **dict.fromkeys(
        ("bucket", "name", "method", "code", "message"), lambda value: isinstance(value, str)
    ),
    "every": lambda value: _is_count(value) and value != 0,
    "status": lambda value: isinstance(value, int) and 400 <= value <= 599,
    "after_call": lambda value: isinstance(value, bool),
}


@dataclass(slots=True)
class Rule:
    """One fault and the calls it meets. Times count the calls that matched."""

    fault: str
    calls: list[str] = field(default_factory=lambda: ["*"])
    """Call names; `*` and `?` match anything."""
    bucket: str | None = None
    name: str | None = None
    """File name, with `*` and `?`."""
    part: int | None = None
    method: str | None = None
    next: int | None = None
    """Strike this many times, then never again."""
    every: int | None = None
    """Strike at each n-th matching call."""
    probability: float | None = None
    skip: int = 0
    """Let this many matching calls pass first."""

    seconds: float = 0.0
    """latency: how long."""
    bytes: int | None = None
    """reset, truncate, corrupt: after how many body bytes; bandwidth: bytes a second."""
    status: int | None = None
    code: str | None = None
    message: str | None = None
    retry_after: int | None = None
    after_call: bool = False
    """Errors only: do the call, then answer with the error as though it had failed."""

    id: int = 0
    matched: int = 0
    struck: int = 0

    @classmethod
    def from_json(cls, document: Any) -> Rule:
        """Raises bad_request for an unknown fault or field."""
        known = {entry.name for entry in fields(cls)} - {"id", "matched", "struck"}
        if not isinstance(document, dict) or not set(document) <= known:
            raise bad_request(f"a fault has the fields {', '.join(sorted(known))}: {document}")
        if document.get("fault") not in FAULTS:
            raise bad_request(f"fault is one of {', '.join(sorted(FAULTS))}")
        calls = document.get("calls", ["*"])
        calls = [calls] if isinstance(calls, str) else calls
        if not isinstance(calls, list) or not all(isinstance(name, str) for name in calls):
            raise bad_request("calls is a call name, or a list of them")
        for name, value in document.items():
            if value is not None and name in _TYPES and not _TYPES[name](value):
                raise bad_request(f"{name} of a fault cannot be {value!r}"[:200])
        return cls(**{**document, "calls": calls})

    def meets(self, entry: Entry) -> bool:
        return (
            any(fnmatchcase(entry.call, pattern) for pattern in self.calls)
            and (self.bucket is None or self.bucket == entry.bucket)
            and (self.name is None or fnmatchcase(entry.name or "", self.name))
            and (self.part is None or self.part == entry.part)
            and (self.method is None or self.method == entry.method)
        )

    def strikes(self, chance: float) -> bool:
        """Count one matching call; whether the fault strikes it. *chance* is in 0..1."""
        self.matched += 1
        if self.matched <= self.skip:
            return False
        if self.next is not None and self.struck >= self.next:
            return False
        if self.every is not None and (self.matched - self.skip) % self.every:
            return False
        if self.probability is not None and chance >= self.probability:
            return False
        self.struck += 1
        return True


class FaultTable:
    """The rules in force. With the same seed the same calls are struck."""

    def __init__(self, seed: int = 0) -> None:
        self._rules: list[Rule] = []
        self._last_id = 0
        self._random = random.Random(seed)

    def add(self, rule: Rule) -> Rule:
        self._last_id += 1
        rule.id = self._last_id
        self._rules.append(rule)
        return rule

    def remove(self, rule_id: int | None = None) -> None:
        """Take away one rule, or all of them."""
        self._rules = [r for r in self._rules if rule_id is not None and r.id != rule_id]

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self._rules]

    def effects(self, entry: Entry) -> Effects | None:
        """What strikes this call; None for most calls."""
        effects: Effects | None = None
        for rule in self._rules:
            if rule.meets(entry) and rule.strikes(self._random.random()):
                effects = effects or Effects()
                apply(
                    effects,
                    rule.fault,
                    seconds=rule.seconds,
                    count=rule.bytes,
                    status=rule.status,
                    code=rule.code,
                    message=rule.message,
                    retry_after=rule.retry_after,
                    after_call=rule.after_call,
                )
                entry.faults.append(rule.fault)
        return effects
