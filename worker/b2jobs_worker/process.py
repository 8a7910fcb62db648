"""One Celery process of a worker: `python -m b2jobs_worker.process NAME SLOTS PARENT READY`."""

from __future__ import annotations

import os
import sys

from b2jobs_worker.celery.app import app, queue_names, when_ready
from b2jobs_worker.delivery.shutdown import end_with_parent
from b2jobs_worker.settings import current
from b2jobs_worker.start.check import say_what_b2_refuses

FIRST = "w1"
"""The process that checks the accounts, for all of the worker."""


def main(name: str, slots: str, parent: str, ready: str) -> None:
    """Serve the queues that the settings name, with *slots* threads, until SIGTERM.

    *parent*: the process id without which this one ends. *ready*: the descriptor of a pipe
    that is told when jobs are taken.
    """
    end_with_parent(int(parent))
    os.set_inheritable(int(ready), False)
    if name == FIRST:
        when_ready(say_what_b2_refuses)
    when_ready(lambda: _tell(int(ready)))
    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={slots}",
            f"--queues={queue_names(current().priorities())}",
            f"--hostname={name}-{os.getpid()}@%h",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ]
    )


def _tell(pipe: int) -> None:
    os.write(pipe, b"1")
    os.close(pipe)


if __name__ == "__main__":
    main(*sys.argv[1:])
