"""Wakes the worker's loop when a thread has ended a job, and when the worker is to stop.

Celery takes a message only while a slot is free, and looks for one whenever its loop wakes.
A thread that ends does not wake it: without this, a worker whose slots were all busy slept on
for up to a second beside a free one.
"""

from __future__ import annotations

import os
from typing import Any

from celery import bootsteps
from celery.concurrency.thread import TaskPool
from celery.signals import worker_shutting_down


class WakeStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery publishes no types
    """A pipe that the loop watches, and a byte in it for jobs that have ended."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._has_called = False

    def include_if(self, parent: Any) -> bool:
        if not issubclass(parent.pool_cls, TaskPool):
            raise SystemExit("b2jobs runs its jobs in threads: start the worker with -P threads.")
        return bool(parent.use_eventloop)

    def start(self, parent: Any) -> None:
        pool = parent.pool
        apply = pool.on_apply

        def on_apply(*arguments: Any, **options: Any) -> Any:
            running = apply(*arguments, **options)
            running.f.add_done_callback(self._call)
            return running

        pool.on_apply = on_apply
        worker_shutting_down.connect(self._call_to_stop)

    def _call_to_stop(self, **_: Any) -> None:
        os.write(self._writer, b"!")  # in a signal's handler: whatever else is being done

    def register_with_event_loop(self, parent: Any, hub: Any) -> None:
        """Called again with each new connection to Redis, whose loop begins anew."""
        del parent
        hub.add_reader(self._reader, self._heard)

    def _call(self, ended: object) -> None:
        del ended
        if not self._has_called:
            self._has_called = True
            os.write(self._writer, b"!")

    def _heard(self) -> None:
        # In this order: a job that ends in between is seen by the round that begins now.
        os.read(self._reader, 64)
        self._has_called = False
