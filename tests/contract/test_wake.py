"""A thread that has ended a job wakes Celery's loop, each time and after a reconnection."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from celery.concurrency.thread import TaskPool
from kombu.asynchronous import Hub

from b2jobs_worker.celery.wake import WakeStep


def test_the_loop_wakes_whenever_a_job_has_ended() -> None:
    pool = TaskPool(2)
    pool.start()
    parent = SimpleNamespace(pool=pool, pool_cls=TaskPool, use_eventloop=True)
    step = WakeStep(parent)
    assert step.include_if(parent)
    step.start(parent)
    ticks: list[int] = []
    for _ in range(2):  # a loop, and the one after a reconnection
        hub = Hub()
        step.register_with_event_loop(parent, hub)
        hub.on_tick.add(lambda: ticks.append(len(ticks)))
        hub.call_later(60, lambda: None)  # nothing else wakes it
        loop = hub.create_loop()
        for _ in range(3):
            may_end = threading.Event()
            threading.Timer(0.1, may_end.set).start()
            running = pool.on_apply(may_end.wait, (), {})
            seen = len(ticks)
            while not running.f.done() or len(ticks) == seen:
                next(loop)
        hub.close()
    assert len(ticks) >= 6
    pool.stop()
