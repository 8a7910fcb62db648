"""Threads of their own for what asyncio awaits: its default executor belongs to the application."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import ParamSpec, TypeVar

from b2jobs.connection import within
from b2jobs.errors import QueueUnavailable

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 16
_SPARE_SECONDS = 0.2  # a thread that waits for Redis ends by itself, and says more


class Threads:
    """Runs calls of Redis off the event loop, each within *call_seconds*, its turn included."""

    def __init__(self, call_seconds: float) -> None:
        self.call_seconds = call_seconds
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    async def run(self, call: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
        """What *call* returns.

        Raises:
            QueueUnavailable: Redis, or a free thread, took too long; the call may still happen.
        """
        return await self.run_within(self.call_seconds, call, *args, **options)

    async def run_within(
        self, seconds: float, call: Callable[P, T], /, *args: P.args, **options: P.kwargs
    ) -> T:
        """`run` within *seconds*, where these are fewer."""
        seconds = min(seconds, self.call_seconds)
        with within(seconds):
            context = contextvars.copy_context()
        run = partial(context.run, call, *args, **options)
        future = asyncio.get_running_loop().run_in_executor(self._threads(), run)
        try:
            await asyncio.wait({future}, timeout=seconds + _SPARE_SECONDS)
            if not future.done():
                raise QueueUnavailable(f"Redis did not confirm within {seconds:g} s.")
            return future.result()
        finally:
            future.cancel()  # of one that is done: nothing

    async def run_long(self, call: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
        """What *call* returns, however long it takes: in one more thread."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="b2jobs-long")
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(thread, partial(call, *args, **options))
        finally:
            thread.shutdown(wait=False)

    async def pages(self, begin: Callable[[], Iterator[T]]) -> AsyncIterator[list[T]]:
        """What the iterator that *begin* makes yields, up to 1,000 at a time; one more thread."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="b2jobs-long")
        try:
            loop, items = asyncio.get_running_loop(), begin()
            while page := await loop.run_in_executor(thread, lambda: list(islice(items, 1000))):
                yield page
        finally:
            thread.shutdown(wait=False)

    async def each(self, begin: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        """What the iterator that *begin* makes yields, one by one; one more thread."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="b2jobs-long")
        try:
            loop = asyncio.get_running_loop()
            items = await loop.run_in_executor(thread, begin)
            while (item := await loop.run_in_executor(thread, next, items, None)) is not None:
                yield item
        finally:
            thread.shutdown(wait=False)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None or self._process != os.getpid():  # threads do not outlive a fork
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="b2jobs")
            self._process = os.getpid()
        return self._pool
