"""`/healthz` and `/readyz` of a worker, over HTTP."""

from __future__ import annotations

import http.client
import os
import signal
from contextlib import suppress

from support.installation import Installation
from support.processes import children
from support.waiting import eventually, free_port


def status(port: int, place: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with suppress(ConnectionRefusedError):
        connection.request("GET", place)
        return connection.getresponse().status
    return None


def test_a_worker_says_that_it_lives_and_that_it_takes_jobs(installation: Installation) -> None:
    port = free_port()
    installation.write_secrets({"key_id": "x", "application_key": "y"})
    more = {"B2JOBS_PROCESSES": "1", "B2JOBS_RESERVED_SLOTS": "0", "B2JOBS_HEALTH_PORT": str(port)}
    worker = installation.start_worker(**more)
    eventually(lambda: status(port, "/healthz") == 200, what=worker.output)
    eventually(lambda: status(port, "/readyz") == 200, what=worker.output)
    assert status(port, "/else") == 404

    again = installation.start_worker("second", **more)
    assert again.wait(60) == 2
    assert "port_taken" in again.output()

    for pid in children(worker.pid):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: status(port, "/readyz") == 503, what=worker.output)
    eventually(lambda: status(port, "/readyz") == 200, what=worker.output)
    assert worker.stop() == 0
    assert status(port, "/healthz") is None
