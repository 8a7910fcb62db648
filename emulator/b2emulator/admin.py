"""A client for the emulator's admin API, for tests. Standard library only.

admin = Admin("http://127.0.0.1:8180")
admin.fault("service_unavailable", calls="b2_upload_*", next=2, retry_after=1)
...
assert admin.counters().classes["C"] == 1
assert admin.repeated_bytes() == 0
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the last clear."""

    calls: dict[str, int]
    """By call name, failures included."""
    classes: dict[str, int]
    """Billed calls by class A, B, C; failures and cut connections are not billed."""
    errors: dict[str, int]
    """By error code; `connection_cut` where there was no answer."""
    bytes_in: int
    bytes_out: int


class Admin:
    """Speaks to one emulator. Raises urllib.error.URLError when it cannot."""

    def __init__(
        self, realm: str, timeout_seconds: float = 10.0, ca_certificate: str | None = None
    ) -> None:
        self._base = realm.rstrip("/").removesuffix("/_admin") + "/_admin"
        self._timeout_seconds = timeout_seconds
        self.context = ssl.create_default_context(cafile=ca_certificate) if ca_certificate else None

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._base}/{path}", data=data, method=method)
        with urlopen(request, timeout=self._timeout_seconds, context=self.context) as response:
            return json.load(response)

    def fault(self, fault: str, *, calls: str | Sequence[str] = "*", **options: Any) -> int:
        """Put a fault in force and return its id.

        *calls* are call names with `*`. *options* are the other fields of
        `b2emulator.faults.rules.Rule`: bucket, name, part, method; next, every,
        probability, skip; seconds, bytes, status, code, message, retry_after,
        after_call. An unknown one raises HTTPError 400.
        """
        wanted = [calls] if isinstance(calls, str) else list(calls)
        answer = self._ask("POST", "faults", {"fault": fault, "calls": wanted, **options})
        return int(answer["ids"][0])

    def faults(self) -> list[Json]:
        """The faults in force, with how many calls each has matched and struck."""
        rules: list[Json] = self._ask("GET", "faults")["faults"]
        return rules

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Lift one fault, or all of them."""
        self._ask("DELETE", "faults" if fault_id is None else f"faults/{fault_id}")

    def limit_rate(self, calls_per_second: float | None) -> None:
        """429 above this many calls a second; None lifts the limit."""
        self._ask("POST", "rate", {"calls_per_second": calls_per_second})

    def expire_tokens(self) -> None:
        """Every account token given out until now answers 401 expired_auth_token."""
        self._ask("POST", "expire-tokens")

    def apply_lifecycle(
        self, bucket: str | None = None, now_millis: int | None = None
    ) -> dict[str, int]:
        """Apply lifecycle rules as of *now_millis*; returns counts hidden, deleted, cancelled."""
        body = {"bucket": bucket, "now_millis": now_millis}
        done: dict[str, int] = self._ask("POST", "lifecycle", body)
        return done

    def journal(self, after: int = 0, call: str | None = None) -> list[Json]:
        """Calls in the order they began, those after entry number *after*."""
        query = urlencode({"after": after, **({} if call is None else {"call": call})})
        entries: list[Json] = self._ask("GET", f"journal?{query}")["entries"]
        return entries

    def counters(self) -> Counters:
        return Counters(**self._ask("GET", "counters"))

    def transferred(self) -> Json:
        """Body bytes for each upload target and each downloaded file, from the journal."""
        found: Json = self._ask("GET", "transferred")
        return found

    def repeated_bytes(self) -> int:
        """Bytes that crossed the wire more than once for the same place, up or down."""
        found = self.transferred()
        return sum(row["repeated_bytes"] for row in found["uploads"] + found["downloads"])

    def clear_journal(self) -> None:
        """Counters and entries start anew."""
        self._ask("POST", "journal/clear")

    def reset(self) -> None:
        """No faults, no rate limit, an empty journal. Files stay."""
        self._ask("POST", "reset")
