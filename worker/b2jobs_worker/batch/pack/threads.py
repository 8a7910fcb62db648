"""The threads of a process that work through the items of its packs.

Packs of a new batch have some thirty items: a thread that was started for each would cost as
much as the small file it moves. So threads stay, and go from pack to pack.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_THREADS = 64
"""At work in one process, for all of its packs; each pack has two of its own beyond that."""
OF_ITS_OWN = 2
TICK_SECONDS = 0.01
"""So often a pack asks for more."""
_FIRST_THREADS = 4
_IDLE_SECONDS = 30.0
_LOOK_SECONDS = 0.02
_BUSY, _FULL = 0.75, 0.95


class Idle:
    """Threads that wait for something to do. They are daemons: nobody waits for them at the end."""

    def __init__(self, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._acts: deque[Callable[[], None]] = deque()
        self._waiting = 0

    def run(self, act: Callable[[], None]) -> None:
        """Call *act*, which must not raise, in a thread that waits, else in a new one.

        Raises RuntimeError where the system gives no more threads; then *act* is not called.
        """
        with self._changed:
            if self._waiting > len(self._acts):
                self._acts.append(act)
                self._changed.notify()
                return
        new = partial(self._work, act)
        threading.Thread(target=new, name="b2jobs-pack", daemon=True).start()

    def _work(self, first: Callable[[], None]) -> None:
        act: Callable[[], None] | None = first
        del first  # each holds its pack
        while act is not None:
            act()
            act = None
            act = self._next()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._acts, self._idle_seconds)
                return self._acts.popleft() if self._acts else None
            finally:
                self._waiting -= 1


class Width:
    """How many threads of this process are at work on items, and how many are of use.

    Beginning with four, they are doubled while packs could use more and the process leaves a
    quarter of one core: threads wait for B2 together, but compute in turn. Where it leaves
    nothing, the packs that begin get fewer.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock = clock
        self._used = used
        self._lock = threading.Lock()
        self._looked_at, self._had_used = clock(), used()
        self.limit = _FIRST_THREADS
        self.at_work = 0

    def take(self, wanted: int, *, at_least: int) -> int:
        """How many of *wanted* more threads a pack may put to work now."""
        with self._lock:
            if wanted > self.limit - self.at_work:
                self._judge()
            taken = min(wanted, max(at_least, self.limit - self.at_work))
            self.at_work += taken
            return taken

    def give(self, count: int = 1) -> None:
        """*count* threads have nothing more to do."""
        with self._lock:
            self.at_work -= count

    def _judge(self) -> None:
        now, used = self._clock(), self._used()
        passed, worked = now - self._looked_at, used - self._had_used
        if passed < _LOOK_SECONDS:
            return
        self._looked_at, self._had_used = now, used
        if worked < _BUSY * passed:
            self.limit = min(MOST_THREADS, self.limit * 2)
        elif worked > _FULL * passed:
            self.limit = max(_FIRST_THREADS, self.limit - self.limit // 8)


_idle, _width = Idle(), Width()


class Threads(Generic[T]):
    """Calls *act* for each of *items*, many at once. *act* must not raise.

    How many requests are under way at once is decided below, for each account (`b2.concurrency`).
    """

    def __init__(
        self, act: Callable[[T], None], items: Iterable[T], count: int, width: Width = _width
    ) -> None:
        self.is_done = threading.Event()
        self._act = act
        self._items = iter(items)
        self._most = min(MOST_THREADS, count)
        self._width = width
        self._lock = threading.Lock()
        self._working = 0
        self._started = 0
        self._stopped = False
        if not self._most:
            self.is_done.set()
        self.grow()

    def grow(self) -> None:
        """Use more threads, if there is more to do and the process has the time for it."""
        wanted = self._most - self._started
        if self._stopped or wanted <= 0:
            return
        taken = self._width.take(wanted, at_least=max(0, OF_ITS_OWN - self._started))
        for at in range(taken):
            with self._lock:
                self._working += 1
                self._started += 1
            run = contextvars.copy_context().run  # logs and traces are about the pack
            try:
                _idle.run(partial(run, self._work))
            except RuntimeError:  # the system has no more threads: those at work go on
                self._width.give(taken - at - 1)
                self._started -= 1
                self._leave()
                if not self._started:
                    raise
                return

    def stop(self) -> None:
        """Begin nothing more; what has begun goes on. Called twice it does nothing."""
        self._stopped = True

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
            self._leave()

    def _leave(self) -> None:
        self._width.give()
        with self._lock:
            self._working -= 1
            if not self._working:
                self.is_done.set()
