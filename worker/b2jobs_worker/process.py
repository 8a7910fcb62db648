"""The processes of a worker.

python -m b2jobs_worker.process serve NAME SLOTS PARENT READY    answers the queues' messages
python -m b2jobs_worker.process attempt MODULE PARENT      makes one attempt (own_process)
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

from b2jobs_worker import logs, tracing
from b2jobs_worker.b2.tally import used
from b2jobs_worker.delivery import shutdown
from b2jobs_worker.delivery.claims import Claim
from b2jobs_worker.delivery.deliver import Delivery
from b2jobs_worker.resources import resources
from b2jobs_worker.settings import current
from b2jobs_worker.start.check import say_what_b2_refuses

FIRST = "w1"
"""The process that checks the accounts, for all of the worker."""


def serve(name: str, slots: str, parent: str, ready: str) -> None:
    """Serve the queues that the settings name, with *slots* threads, until SIGTERM.

    *parent*: the process id without which this one ends. *ready*: the descriptor of a pipe
    that is told when jobs are taken.
    """
    from b2jobs_worker.celery.app import (  # an attempt has its own
        app,
        leave_logging_alone,
        queue_names,
        when_ready,
    )

    shutdown.end_with_parent(int(parent))
    os.set_inheritable(int(ready), False)
    if name == FIRST:
        when_ready(say_what_b2_refuses)
    when_ready(lambda: _tell(int(ready)))
    logs.set_up(current().log_format, current().log_level, name)
    leave_logging_alone()
    tracing.set_up()
    app.worker_main(
        [
            "--quiet",
            "worker",
            f"--concurrency={slots}",
            f"--queues={queue_names(current().priorities())}",
            f"--hostname={name}-{os.getpid()}@%h",
            "--without-gossip",
            "--without-mingle",
            f"--loglevel={current().log_level.upper()}",
        ]
    )


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
