"""The threads that send and receive parts, shared by all transfers of a process."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

from b2jobs_worker.b2.concurrency import MOST

T = TypeVar("T")


class Threads:
    """Up to *most* threads, started when they are needed, in the process that needs them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def lanes(self, width: int | Callable[[], int]) -> Lanes:
        """Up to *width* things at once, for one transfer; asked for each where it may change."""
        return Lanes(self._threads(), width)

    def each(self, act: Callable[[T], None], items: Iterable[T], *, width: int) -> None:
        """Call *act* for each of *items*, up to *width* at once; returns when all are done.

        The first exception ends it: what has begun is finished, nothing more is begun, and
        the exception is raised. *items* is read in this thread, no faster than it is used.
        """
        with self.lanes(width) as lanes:
            for item in items:
                lanes.submit(act, item)

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="b2jobs-transfer")
            return self._pool


class Lanes:
    """Some of the threads, for one transfer. Leaving the context waits for all of them."""

    def __init__(self, threads: ThreadPoolExecutor, width: int | Callable[[], int]) -> None:
        self._threads = threads
        self._width = width
        self._under_way: set[Future[Any]] = set()

    @property
    def is_free(self) -> bool:
        """Whether something more can begin at once. For the thread that submits."""
        width = self._width if isinstance(self._width, int) else self._width()
        return len(self._under_way) < width

    def submit(self, act: Callable[..., object], *arguments: object) -> None:
        """Begin *act* in a lane as soon as one is free.

        Raises whatever something begun earlier has raised.
        """
        self.check()
        self.wait_until_free()
        # What the attempt's thread is about, logs and traces are told in these too.
        run = contextvars.copy_context().run
        self._under_way.add(self._threads.submit(run, act, *arguments))

    def wait_until_free(self) -> None:
        """Until something more can begin; raises what something begun earlier has raised."""
        while not self.is_free:
            self.wait_for_one()

    def check(self) -> None:
        """Raise what something begun earlier has raised; does not wait."""
        done = {each for each in self._under_way if each.done()}
        self._under_way -= done
        _raise_first(done)

    def wait_for_one(self) -> None:
        """Until at least one lane is free; raises what it raised."""
        done, self._under_way = wait(self._under_way, return_when=FIRST_COMPLETED)
        _raise_first(done)

    def join(self) -> None:
        """Until all are done; raises the first exception met."""
        done, self._under_way = wait(self._under_way)
        _raise_first(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.join()
        else:
            for future in self._under_way:
                future.cancel()
            wait(self._under_way)
            # Their exceptions hold frames, which hold this.
            self._under_way = set()


def _raise_first(done: set[Future[Any]]) -> None:
    error = next((each.exception() for each in done if each.exception() is not None), None)
    done.clear()
    try:
        if error is not None:
            raise error
    finally:
        # The exception holds this frame: holding it here too would keep both.
        del error
