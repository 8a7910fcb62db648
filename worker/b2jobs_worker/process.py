"""One Celery process of a worker: `python -m b2jobs_worker.process NAME SLOTS PARENT`."""

from __future__ import annotations

import os
import sys

from b2jobs_worker.celery.app import app, queue_names
from b2jobs_worker.delivery.shutdown import end_with_parent
from b2jobs_worker.settings import current


def main(name: str, slots: str, parent: str) -> None:
    """Serve the queues that the settings name, with *slots* threads, until SIGTERM.

    *parent*: the process id without which this one ends.
    """
    end_with_parent(int(parent))
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


if __name__ == "__main__":
    main(*sys.argv[1:])
