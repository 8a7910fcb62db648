"""What was called: one entry a call, and counters that never forget.

The classes are those of B2's price list: A is free, B and C are billed, and a
listing bills one C for each 1,000 entries it returned.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

CLASS_OF = {
    **dict.fromkeys(
        (
            *("b2_upload_file", "b2_upload_part", "b2_get_upload_url", "b2_get_upload_part_url"),
            *("b2_start_large_file", "b2_finish_large_file", "b2_cancel_large_file"),
            *("b2_hide_file", "b2_delete_file_version", "b2_delete_bucket", "b2_delete_key"),
            *("b2_update_file_retention", "b2_update_file_legal_hold"),
        ),
        "A",
    ),
    **dict.fromkeys(
        ("b2_download_file_by_id", "b2_download_file_by_name", "b2_get_file_info"), "B"
    ),
    **dict.fromkeys(
        (
            *("b2_authorize_account", "b2_copy_file", "b2_copy_part", "b2_create_bucket"),
            *("b2_update_bucket", "b2_create_key", "b2_get_download_authorization"),
            *("b2_list_buckets", "b2_list_file_names", "b2_list_file_versions", "b2_list_keys"),
            *("b2_list_parts", "b2_list_unfinished_large_files"),
            *("b2_get_bucket_notification_rules", "b2_set_bucket_notification_rules"),
        ),
        "C",
    ),
}
ENTRIES_BILLED_AS_ONE = 1000


@dataclass(slots=True)
class Entry:
    """One call. `bytes_in` and `bytes_out` count bodies as they crossed the wire."""

    number: int
    at: float
    call: str
    api_version: int = 0
    method: str = "POST"
    connection: int = 0
    status: int = 0
    """0: the connection was cut before an answer."""
    code: str | None = None
    billed: int = 1
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float | None = None
    """None while it is going on."""
    key_id: str | None = None
    bucket: str | None = None
    name: str | None = None
    file_id: str | None = None
    part: int | None = None
    range: list[int] | None = None
    """First and last byte sent of a download."""
    faults: list[str] = field(default_factory=list)

    @property
    def price_class(self) -> str | None:
        return CLASS_OF.get(self.call)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "class": self.price_class}


class Journal:
    """Entries in the order the calls began."""

    def __init__(self, limit: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._number = 0
        self._sending: set[int] = set()
        self.clear()

    def clear(self) -> None:
        """Forget entries and counters; numbers go on."""
        self._entries.clear()
        self._calls: Counter[str] = Counter()
        self._classes: Counter[str] = Counter({"A": 0, "B": 0, "C": 0})
        self._codes: Counter[str] = Counter()
        self._bytes_in = self._bytes_out = 0

    def begin(self, call: str) -> Entry:
        self._number += 1
        entry = Entry(self._number, time.time(), call)
        self._entries.append(entry)
        return entry

    def end(self, entry: Entry, seconds: float) -> None:
        entry.seconds = seconds
        self._sending.discard(entry.number)
        self._calls[entry.call] += 1
        if entry.price_class and 200 <= entry.status < 300:
            self._classes[entry.price_class] += entry.billed
        if entry.code or not entry.status:
            self._codes[entry.code or "connection_cut"] += 1
        self._bytes_in += entry.bytes_in
        self._bytes_out += entry.bytes_out

    def sending(self, entry: Entry) -> None:
        """A body is on its way; `is_settled` waits for its end."""
        self._sending.add(entry.number)

    @property
    def is_settled(self) -> bool:
        """No download is between its last byte, which its client has seen, and its entry."""
        return not self._sending

    def entries(self, after: int = 0, call: str | None = None) -> Iterator[Entry]:
        return (e for e in self._entries if e.number > after and call in (None, e.call))

    def counters(self) -> dict[str, Any]:
        """Totals since the last clear. Classes count billed calls that succeeded."""
        return {
            "calls": dict(self._calls),
            "classes": dict(self._classes),
            "errors": dict(self._codes),
            "bytes_in": self._bytes_in,
            "bytes_out": self._bytes_out,
        }

    def transferred(self) -> dict[str, Any]:
        """Body bytes by what they were for, and how many of them went over the wire twice.

        Uploads are told apart by (bucket, name, part), or the file id and part;
        what is over the largest single request of one target was sent again.
        Downloads are told apart by file; what is over the union of the ranges
        was sent again. Reads the entries, so only as far back as they go.
        """
        uploads: dict[tuple[str | None, ...], list[int]] = {}
        downloads: dict[str | None, list[tuple[int, int]]] = {}
        for entry in self._entries:
            if entry.call in ("b2_upload_file", "b2_upload_part") and entry.bytes_in:
                target = (entry.bucket, entry.name, entry.file_id if entry.part else None)
                uploads.setdefault((*target, str(entry.part)), []).append(entry.bytes_in)
            elif entry.call.startswith("b2_download") and entry.bytes_out and entry.range:
                first = entry.range[0]
                downloads.setdefault(entry.file_id, []).append((first, first + entry.bytes_out))
        return {
            "uploads": [
                {
                    "bucket": bucket,
                    "name": name,
                    "file_id": file_id,
                    "part": None if part == "None" else int(part or 0),
                    "requests": len(sizes),
                    "bytes": sum(sizes),
                    "repeated_bytes": sum(sizes) - max(sizes),
                }
                for (bucket, name, file_id, part), sizes in uploads.items()
            ],
            "downloads": [
                {
                    "file_id": file_id,
                    "requests": len(spans),
                    "bytes": sum(end - start for start, end in spans),
                    "repeated_bytes": sum(end - start for start, end in spans) - covered(spans),
                }
                for file_id, spans in downloads.items()
            ],
        }


def covered(spans: list[tuple[int, int]]) -> int:
    """How many positions lie in at least one of the half-open *spans*."""
    total, reached = 0, 0
    for start, end in sorted(spans):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total
