"""The threads that work through a pack's items inside one slot."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_THREADS = 64
_FIRST_THREADS = 4


class Threads(Generic[T]):
    """Calls *act* for each of *items*, many at once. *act* must not raise.

    Begins with four threads and doubles them each time it is asked to `grow`, as long as
    none is idle: a pack that is done in no time pays for few. How many requests are then
    under way at once is decided below, for each account (`b2.concurrency`).
    """

    def __init__(self, act: Callable[[T], None], items: Iterable[T], count: int) -> None:
        self.is_done = threading.Event()
        self._act = act
        self._items = iter(items)
        self._most = min(MOST_THREADS, count)
        self._lock = threading.Lock()
        self._working = 0
        self._started = 0
        self._stopped = False
        self._start(min(_FIRST_THREADS, self._most))
        if not self._most:
            self.is_done.set()

    def grow(self) -> None:
        """Use more threads, if there is more to do."""
        if not self._stopped:
            self._start(min(self._started, self._most - self._started))

    def stop(self) -> None:
        """Begin nothing more; what has begun goes on. Called twice it does nothing."""
        self._stopped = True

    def _start(self, count: int) -> None:
        for _ in range(count):
            with self._lock:
                if self.is_done.is_set():
                    return
                self._working += 1
                self._started += 1
            run = contextvars.copy_context().run  # logs and traces are about the pack
            threading.Thread(
                target=run, args=(self._work,), name="b2jobs-pack", daemon=True
            ).start()

    def _work(self) -> None:
        try:
            while not self._stopped:
                with self._lock:
                    try:
                        item = next(self._items)
                    except StopIteration:
                        self._stopped = True
                        return
                self._act(item)
        finally:
            with self._lock:
                self._working -= 1
                if not self._working:
                    self.is_done.set()
