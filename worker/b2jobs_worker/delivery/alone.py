"""A suspect's own process: a job whose worker died under it twice in a row runs in one.

Should it die again, no neighbour dies with it, and no neighbour can be what killed it. It is
an ordinary attempt otherwise: the process renews the lease itself, and is cancelled and
handed back like any other. It costs about a second to start.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from b2jobs_worker.delivery import shutdown
from b2jobs_worker.delivery.leases import Claim, leases
from b2jobs_worker.settings import current

_HOLDING = b"holding\n"

logger = logging.getLogger(__name__)


def run_alone(claim: Claim, module: str, *, started: Callable[[], None]) -> None:
    """Run the claimed job in a new process and wait for its end; it notes the outcome.

    *started* is called once the process renews the lease. Should it die, the lease runs out
    and the job counts one more loss.
    """
    logger.warning(
        "job %s: %d workers died under it; it gets a process of its own",
        claim.job_id,
        claim.losses,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, module, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(json.dumps(asdict(claim)).encode())
        process.stdin.close()
        process.stdout.readline()
        started()
        is_told = False
        while process.poll() is None:
            if shutdown.has_begun() and not is_told:
                is_told = True
                process.terminate()
            time.sleep(0.1)
    if process.returncode:
        logger.error("job %s: its process died: %d", claim.job_id, process.returncode)


def main(module: str, parent: str) -> None:
    """Make the attempt whose claim comes on standard input, with the work that *module* has."""
    from b2jobs_worker.delivery.deliver import Delivery  # which starts such processes

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    shutdown.end_with_parent(int(parent))
    signal.signal(signal.SIGTERM, lambda *_: shutdown.begin(current().grace_seconds))
    app: Any = importlib.import_module(module).app
    app.loader.import_default_modules()
    claim = Claim(**json.load(sys.stdin))
    delivery = Delivery(claim, leases(), app.tasks[f"b2jobs.{claim.kind}"].work)
    with delivery.held():
        sys.stdout.buffer.write(_HOLDING)
        sys.stdout.buffer.flush()
        delivery.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
