"""A suspect's own process: a job whose worker died under it twice in a row runs in one.

Should it die again, no neighbour dies with it, and no neighbour can be what killed it. It is
an ordinary attempt otherwise: the process renews the lease itself, and is cancelled and
handed back like any other. It costs about a second to start. One that is told to stop before
it knows signals has not touched the job, and is no loss.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from b2jobs_worker.delivery import shutdown
from b2jobs_worker.delivery.claims import Claim

logger = logging.getLogger(__name__)


def run_in_own_process(claim: Claim, module: str, *, started: Callable[[], None]) -> bool:
    """Run the claimed job in a new process and wait for its end; it notes the outcome.

    *started* is called once the process renews the lease. Should it die, the lease runs out
    and the job counts one more loss. False: it was stopped before it began, the job is as it was.
    """
    logger.warning(
        "job %s: %d workers died under it; it gets a process of its own",
        claim.job_id,
        claim.losses,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "b2jobs_worker.process", "attempt", module, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        with suppress(BrokenPipeError):  # it is dead, as is seen below
            process.stdin.write(json.dumps(asdict(claim)).encode())
            process.stdin.close()
        if not process.stdout.readline() and process.wait() == -signal.SIGTERM:
            return False
        started()
        is_told = False
        while process.poll() is None:
            if shutdown.has_begun() and not is_told:
                is_told = True
                process.terminate()
            time.sleep(0.1)
    if process.returncode:
        logger.error("job %s: its process died: %d", claim.job_id, process.returncode)
    return True
