"""The processes of a worker.

python -m b2jobs_worker.process serve NAME SLOTS PARENT READY    answers the queues' messages
python -m b2jobs_worker.process attempt MODULE PARENT      makes one attempt (own_process)
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from typing import Any

from b2jobs.requests import Download, Upload
from b2jobs.results import TransferResult
from b2jobs_worker import logs, tracing
from b2jobs_worker.b2.tally import used
from b2jobs_worker.children import leave
from b2jobs_worker.delivery import shutdown
from b2jobs_worker.delivery.claims import Claim
from b2jobs_worker.delivery.deliver import Delivery
from b2jobs_worker.resources import resources
from b2jobs_worker.settings import current
from b2jobs_worker.start.check import say_what_b2_refuses

FIRST = "w1"
"""The process that checks the accounts, for all of the worker."""


# What Celery itself loads while it starts, by name, is in it.
_ALL = (
    "b2jobs_worker.celery.app",
    "b2jobs_worker.handlers.tasks",
    "billiard.pool",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.backends.redis",
    "celery.concurrency.thread",
    "celery.events.dispatcher",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "kombu.pidbox",
)


def load() -> None:
    """Load what every process of a worker needs, in their parent, and nothing that connects.

    What is loaded stays (of 170,000 objects 900 are garbage): the collector need not walk it, not
    even once, and does not write into memory that forked processes share.
    """
    gc.disable()
    for name in _ALL:
        importlib.import_module(name)
    for model in (Upload, Download, TransferResult):
        model.model_rebuild()  # pydantic's first takes 40 ms, each other one 1 to 5
    app: Any = importlib.import_module("b2jobs_worker.celery.app").app
    app.finalize()
    _ = app.backend  # for its class Celery looks through all that is installed
    gc.freeze()
    gc.enable()


def serve(name: str, slots: str, parent: str, ready: str) -> None:
    """Serve the queues that the settings name, with *slots* threads, until SIGTERM.

    *parent*: the process id without which this one ends. *ready*: the descriptor of a pipe
    that is told when jobs are taken.
    """
    from b2jobs_worker.celery import app  # an attempt has its own

    current.cache_clear()  # of a parent that loaded everything
    shutdown.end_with_parent(int(parent))
    os.set_inheritable(int(ready), False)
    if name == FIRST:
        app.when_ready(say_what_b2_refuses)
    app.when_ready(lambda: _tell(int(ready)))
    logs.set_up(current().log_format, current().log_level, name)
    app.leave_logging_alone()
    tracing.set_up()
    status = app.serve(name, int(slots), current())
    tracing.flush()
    leave(status)


def attempt(module: str, parent: str) -> None:
    """Make the attempt whose claim comes on standard input, with the work that *module* has.

    It writes a line once it renews the lease.
    """
    logs.set_up(current().log_format, current().log_level, "own")
    tracing.set_up()
    signal.signal(signal.SIGTERM, lambda *_: shutdown.begin(current().grace_seconds))
    shutdown.end_with_parent(int(parent))
    app: Any = importlib.import_module(module).app
    app.loader.import_default_modules()
    claim = Claim(**json.load(sys.stdin))
    work = app.tasks[f"b2jobs.{claim.kind}"].work
    delivery = Delivery(claim, work, resources().claims, resources().leases)
    with delivery.held():
        sys.stdout.buffer.write(b"holding\n")
        sys.stdout.buffer.flush()
        os.dup2(2, 1)  # nobody reads further: what else is written there would fill the pipe
        delivery.run()
    amounts = used.take()
    if amounts:
        resources().records.door.call("fleet/count", amounts=amounts)


def _tell(pipe: int) -> None:
    os.write(pipe, b"1")
    os.close(pipe)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        attempt(*sys.argv[2:])
