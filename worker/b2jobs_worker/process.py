"""One Celery process of a worker: `python -m b2jobs_worker.process NAME SLOTS`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from b2jobs_worker.celery_app import app, queue_names
from b2jobs_worker.settings import current


def main(name: str, slots: str) -> None:
    """Serve the queues that the settings name, with *slots* threads, until SIGTERM."""
    _end_with_parent()
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


def _end_with_parent() -> None:
    """Stop, as for SIGTERM, when the parent is killed: nobody would restart or stop us."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="b2jobs-parent", daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
