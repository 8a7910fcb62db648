"""What this process has used of each account, and refused: added up here, carried to Redis each
second."""

from __future__ import annotations

import threading
from collections import Counter

_NANO = 1_000_000_000


class Tally:
    """Amounts by name, as docs/numbers.md has them. Thread-safe."""

    def __init__(self) -> None:
        self._amounts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def called(self, account: str, call_class: str, dollars: float, sent: int) -> None:
        """A call of *account*, with the bytes that went up."""
        amounts = self._amounts
        with self._lock:
            amounts[f"calls|{account}|{call_class}"] += 1
            if dollars:
                amounts[f"nanodollars|{account}"] += round(dollars * _NANO)
            if sent:
                amounts[f"bytes|{account}|up"] += sent

    def received(self, account: str, count: int) -> None:
        """*count* bytes that came down."""
        with self._lock:
            self._amounts[f"bytes|{account}|down"] += count

    def refused(self, what: str) -> None:
        """Something without a good signature or seal."""
        with self._lock:
            self._amounts[f"refused|{what}"] += 1

    def take(self) -> dict[str, int]:
        """All of it since it was last taken. Give back what could not be carried."""
        with self._lock:
            taken = {name: amount for name, amount in self._amounts.items() if amount}
            self._amounts.clear()
            return taken

    def give_back(self, amounts: dict[str, int]) -> None:
        with self._lock:
            self._amounts.update(amounts)


used = Tally()
"""This process's."""
