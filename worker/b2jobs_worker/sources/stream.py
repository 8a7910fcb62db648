"""The body of one answer, as it is on the wire: counted, timed, and ended from any thread."""

from __future__ import annotations

import time
from collections.abc import Callable

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from b2jobs.errors import JobError, PassingError
from b2jobs_worker.sources.web_failures import transport_error

_RATE_SECONDS = 30.0
"""How long a body may be below the least rate: pauses of a busy server are no drip."""


class WebStream:
    """Bytes until there are *size* of them; None: until the server ends.

    A body that ends before that is `source_interrupted`, in whatever way the connection ended:
    not every library below looks at the length. Below *least_rate* bytes a second, on average
    over half a minute of waiting for bytes, it is `source_too_slow`. *most* is told of how many
    bytes there have been, to refuse a body without an end.
    """

    def __init__(
        self,
        response: BaseHTTPResponse,
        shown: str,
        size: int | None = None,
        *,
        least_rate: float = 0.0,
        most: Callable[[int], None] | None = None,
    ) -> None:
        self._response = response
        self._shown = shown
        self._size = size
        self._least_rate = least_rate
        self._most = most
        self._got = 0
        self._waited = 0.0
        self._since = 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        pieces: list[bytes] = []
        missing = size
        while missing:
            piece = self._piece(missing)
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        began = time.monotonic()
        try:
            piece = self._response.read1(size)  # what is there: `read` waits for all of it
        except HTTPError as error:
            raise self._broken(error) from error
        if self._ended:  # what a closed socket still gives is no content
            raise PassingError("source_interrupted", f"Reading {self._shown} was ended.")
        self._got += len(piece)
        self._since += len(piece)
        self._waited += time.monotonic() - began
        if not piece and self._size is not None and self._got < self._size:
            raise PassingError(
                "source_interrupted",
                f"Reading {self._shown} broke off: {self._got} bytes came of {self._size}.",
            )
        if self._most is not None:
            self._most(self._got)
        if self._waited >= _RATE_SECONDS:
            self._judge_rate()
        return piece

    def _judge_rate(self) -> None:
        rate = self._since / self._waited
        self._waited, self._since = 0.0, 0
        if rate < self._least_rate:
            raise PassingError(
                "source_too_slow",
                f"{self._shown} sends {rate:.0f} bytes a second.",
                hint="The setting https_least_bytes_per_second says how few there may be.",
            )

    def _broken(self, error: HTTPError) -> JobError:
        if self._ended:
            return PassingError("source_interrupted", f"Reading {self._shown} was ended.")
        return transport_error(error, self._shown)

    def close(self) -> None:
        """End it from any thread: a blocked `read` wakes up with `source_interrupted`."""
        self._ended = True
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError):
            return  # read to its end, or broken already: nobody waits on the socket
