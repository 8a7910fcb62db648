"""What a fault does to one call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from b2emulator.errors import B2Error

ERRORS: dict[str, tuple[int, str, str]] = {
    "service_unavailable": (503, "service_unavailable", "service is temporarily unavailable"),
    "internal_error": (500, "internal_error", "an internal error occurred"),
    "too_many_requests": (429, "too_many_requests", "too many requests: please slow down"),
    "request_timeout": (408, "request_timeout", "the service timed out reading the request"),
    "expired_auth_token": (401, "expired_auth_token", "Authorization token has expired"),
    "bad_auth_token": (401, "bad_auth_token", "Invalid authorization token"),
    "unauthorized": (401, "unauthorized", "unauthorized"),
    "storage_cap_exceeded": (403, "storage_cap_exceeded", "Cannot upload: storage cap exceeded"),
    "transaction_cap_exceeded": (
        *(403, "transaction_cap_exceeded"),
        "Transaction cap exceeded: the day's cap is used up",
    ),
    "download_cap_exceeded": (403, "download_cap_exceeded", "Download cap exceeded"),
    "cap_exceeded": (403, "cap_exceeded", "Cannot upload: cap exceeded"),
    "access_denied": (403, "access_denied", "Access denied"),
    "not_found": (404, "not_found", "File not present"),
    "error": (500, "internal_error", "an internal error occurred"),
}
"""`error` is any other one: give its status, code and message."""

CUTS = ("reset_request", "reset_response", "lost_response", "truncate")
FAULTS = frozenset({*ERRORS, *CUTS, "checksum_mismatch", "corrupt", "latency", "bandwidth"})


class ConnectionCut(Exception):
    """Stop without an answer. *reset*: with a TCP reset instead of a clean close."""

    def __init__(self, *, reset: bool = True) -> None:
        super().__init__("cut on request")
        self.reset = reset


@dataclass(slots=True)
class Effects:
    """All that strikes one call."""

    delay_seconds: float = 0.0
    bytes_per_second: int | None = None
    error: B2Error | None = None
    error_after_call: B2Error | None = None
    reset_request_at: int | None = None
    """Reset when this many body bytes of the request were read."""
    reset_response_at: int | None = None
    truncate_at: int | None = None
    """Close cleanly when this many body bytes of the response were sent."""
    reject_checksum: bool = False
    """Read the upload to its end and answer as if its SHA-1 had not matched."""
    lost_response: bool = False
    """The call is done; the connection is reset instead of the answer."""
    corrupt_at: int | None = None
    """The byte of a download that is sent inverted."""


def apply(
    effects: Effects,
    fault: str,
    *,
    seconds: float = 0.0,
    count: int | None = None,
    status: int | None = None,
    code: str | None = None,
    message: str | None = None,
    retry_after: int | None = None,
    after_call: bool = False,
) -> None:
    """Add one fault to *effects*; of two errors the first stays."""
    if fault in ERRORS:
        default = ERRORS[fault]
        error = B2Error(
            status or default[0],
            code or default[1],
            message or default[2],
            retry_after_seconds=retry_after,
        )
        if after_call:
            effects.error_after_call = effects.error_after_call or error
        else:
            effects.error = effects.error or error
    elif fault == "checksum_mismatch":
        effects.reject_checksum = True
    elif fault == "latency":
        effects.delay_seconds += seconds
    elif fault == "bandwidth":
        effects.bytes_per_second = count or 1_000_000
    elif fault == "reset_request":
        effects.reset_request_at = count or 0
    elif fault == "reset_response":
        effects.reset_response_at = count or 0
    elif fault == "truncate":
        effects.truncate_at = count or 0
    elif fault == "corrupt":
        effects.corrupt_at = count or 0
    elif fault == "lost_response":
        effects.lost_response = True


class Pace:
    """Keeps one body at or under a number of bytes a second."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._passed = 0

    async def passed(self, count: int) -> None:
        """Wait until *count* more bytes may have passed."""
        self._passed += count
        wait = self._start + self._passed / self._rate - self._loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
