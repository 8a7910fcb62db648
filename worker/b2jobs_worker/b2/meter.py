"""What one job used: calls by class, bytes in both directions, dollars."""

from __future__ import annotations

import threading
from typing import Literal

from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.b2.tally import used

CallClass = Literal["a", "b", "c"]

_CLASS_A = frozenset(
    {
        "b2_upload_file",
        "b2_upload_part",
        "b2_get_upload_url",
        "b2_get_upload_part_url",
        "b2_start_large_file",
        "b2_finish_large_file",
        "b2_cancel_large_file",
        "b2_hide_file",
        "b2_delete_file_version",
        "b2_delete_bucket",
        "b2_delete_key",
    }
)
_CLASS_B = frozenset({"b2_download_file_by_id", "b2_download_file_by_name", "b2_get_file_info"})


def class_of(method: str, path: str) -> CallClass:
    """The price class of a request by its path; what is not known counts as the dearest."""
    before, marker, rest = path.partition("/b2api/")
    if not marker or "/file/" in f"{before}/":
        # Downloads by name (/file/BUCKET/NAME), and HEAD on them.
        return "b" if method in ("GET", "HEAD") else "a"
    call = rest.split("?", 1)[0].split("/")
    name = call[1] if len(call) > 1 else ""
    if name in _CLASS_A:
        return "a"
    return "b" if name in _CLASS_B else "c"


def difference(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """The calls by class that were made since *before*."""
    return {name: count - before[name] for name, count in now.items()}


class Meter:
    """Counts for one job, and into the process's tally; for any thread."""

    def __init__(self, prices: Prices | None = None, account: str = "default") -> None:
        self._prices = prices or Prices()
        self._account = account
        self._calls: dict[str, int] = {"a": 0, "b": 0, "c": 0}
        self._sent = 0
        self._received = 0
        self._lock = threading.Lock()

    def called(self, call_class: CallClass, sent: int = 0) -> None:
        """A call was answered, to which *sent* bytes of content went along."""
        with self._lock:
            self._calls[call_class] += 1
            self._sent += sent
        used.called(self._account, call_class, self._prices.of_one(call_class), sent)

    def received(self, count: int) -> None:
        with self._lock:
            self._received += count
        used.received(self._account, count)

    @property
    def calls(self) -> dict[str, int]:
        with self._lock:
            return dict(self._calls)

    @property
    def bytes_sent(self) -> int:
        return self._sent

    @property
    def bytes_received(self) -> int:
        return self._received

    @property
    def dollars(self) -> float:
        return round(self._prices.dollars(self._calls), 9)


class Meters:
    """Several meters as one: of a job that uses two accounts."""

    def __init__(self, *meters: Meter) -> None:
        self._meters = meters

    @property
    def calls(self) -> dict[str, int]:
        return {name: sum(each.calls[name] for each in self._meters) for name in "abc"}

    @property
    def dollars(self) -> float:
        return sum(each.dollars for each in self._meters)
