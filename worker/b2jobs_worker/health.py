"""`/healthz` and `/readyz` of a worker's parent, for whoever starts and stops workers."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from b2jobs.errors import OperatorError

_SILENT_SECONDS = 10.0


class Health:
    """What the parent last said of its processes. *port* 0 takes a free one.

    `serve` answers until the parent ends: `/healthz` 200 while the parent goes on and all its
    processes run, `/readyz` 200 once all of them take jobs; else 503.

    Raises:
        OperatorError: `port_taken`.
    """

    def __init__(self, host: str, port: int) -> None:
        self._told = time.monotonic()
        self._running = self._ready = False
        health = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0  # nobody holds a thread by sending nothing

            def do_GET(self) -> None:  # http.server names it
                health.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing: probes come every few seconds."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise OperatorError(
                "port_taken",
                f"The worker's health cannot be told on {host}:{port}: {error.strerror}.",
                hint="Choose another B2JOBS_HEALTH_PORT or B2JOBS_HEALTH_HOST.",
            ) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer, in a thread."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Give up the port, in a process that does not serve."""
        self._server.server_close()

    def tell(self, *, running: bool, ready: bool) -> None:
        """What holds now; said again and again, or the parent counts as stuck."""
        self._told, self._running, self._ready = time.monotonic(), running, ready

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one probe."""
        lives = self._running and time.monotonic() - self._told < _SILENT_SECONDS
        answers = {"/healthz": lives, "/readyz": lives and self._ready}
        found = answers.get(request.path.partition("?")[0])
        body = json.dumps({"status": "ok" if found else "unavailable"}).encode()
        request.send_response(404 if found is None else 200 if found else 503)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
