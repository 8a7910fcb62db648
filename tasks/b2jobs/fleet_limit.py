"""A limit of bytes and requests a second for the whole fleet, set by command: it goes before what
the workers' config files say, until it is lifted or its time is over.

One key, behind the prefix and `b2jobs:`

    limit     what `set` was given, when, and until when, as JSON
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from b2jobs import commands
from b2jobs.errors import InvalidJob
from b2jobs.rates import Rates, amounts
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import json_object, number
from b2jobs.signed import believed, unsealed


@dataclass(frozen=True)
class FleetLimit:
    """Most bytes and requests a second of each account by all workers together.

    until: seconds since 1970, None for until it is lifted.
    """

    rates: Rates
    until: float | None = None


class FleetLimits:
    """What was set for one installation. Any call may raise `QueueUnavailable`."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._key = f"{records.prefix}limit"
        self._opened: tuple[str, float, str] = ("", 0.0, "")

    def set(self, said: str, *, seconds: float | None = None) -> FleetLimit:
        """Let *said* (`2 MB/s, 50 requests/s`, one of them, or `unlimited`) hold from now on, for
        so many *seconds* where given. What it does not name has no limit meanwhile.

        Raises:
            InvalidJob: it is not understood; or `keys_missing`.
        """
        try:
            rates = Rates.of(amounts(said.strip()))
        except ValueError as error:
            raise InvalidJob(f"{str(error)[:1].upper()}{str(error)[1:]}.", field="limit") from None
        if seconds is not None and not 1 <= seconds < math.inf:
            raise InvalidJob(f"for is {seconds:g} s.", hint="Give a second or more.", field="for")
        commands.check_operator(self._records)
        until = None if seconds is None else time.time() + seconds
        told = json.dumps({"limit": said.strip(), "until": until})
        with unavailable(self._records.url):
            self._records.redis.set(
                self._key,
                self._records.ring.seal(told, "limit"),
                px=None if seconds is None else math.ceil(seconds * 1000),
            )
        return FleetLimit(rates, until)

    def lift(self) -> bool:
        """Let the workers' config files say what holds; whether anything was set.

        Raises:
            InvalidJob: `keys_missing`
        """
        commands.check_operator(self._records)
        with unavailable(self._records.url):
            return bool(self._records.redis.delete(self._key))

    def get(self) -> FleetLimit | None:
        """What holds now, if anything was set, for people."""
        return self._read(unsealed)

    def heeded(self) -> FleetLimit | None:
        """What a worker keeps to: where signatures are required, what the operator has set."""
        return self._read(self._believed)

    def _believed(self, text: str) -> str:
        """What a worker believes of *text*; what it does not, it tells of once a minute."""
        before, minute, opened = self._opened
        now = time.monotonic() // 60
        if (text, now) != (before, minute):
            opened = believed(lambda: self._records.ring.unseal(text, "limit"), "")
            self._opened = text, now, opened
        return opened

    def _read(self, opened: Callable[[str], str]) -> FleetLimit | None:
        with unavailable(self._records.url):
            text = cast("str | None", self._records.redis.get(self._key))
        told = json_object(opened(text)) if text else {}
        try:
            rates = Rates.of(amounts(str(told.get("limit", ""))))
        except ValueError:  # nothing, or not of ours
            return None
        until = number(told.get("until")) or None
        return None if until is not None and until <= time.time() else FleetLimit(rates, until)
