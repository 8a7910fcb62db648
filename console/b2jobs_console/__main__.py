"""`python -m b2jobs_console`: serves pages and metrics until SIGTERM.

python -m b2jobs_console [--host HOST] [--port PORT]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

from b2jobs.errors import B2JobsError, OperatorError
from b2jobs_console.gate import Gate
from b2jobs_console.server import serving
from b2jobs_console.settings import Settings, load

CANNOT_START = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; the exit status: 0, or 2 where it cannot start as things are."""
    options = argparse.ArgumentParser(prog="b2jobs console")
    options.add_argument("--host", help="where to listen (127.0.0.1)")
    options.add_argument("--port", type=int, help="8585; 0 takes a free one")
    given = options.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        asyncio.run(_run(load(host=given.host, port=given.port)))
    except B2JobsError as error:
        message = error.message if isinstance(error, OperatorError) else str(error)
        _complain(message, error.hint, code=error.code)
        return CANNOT_START
    except OSError as error:
        message = f"The console cannot listen: {error}."
        _complain(message, "Choose another --host or --port.", code="port_taken")
        return CANNOT_START
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that reads events may wait for one, and Python for the thread


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gate = Gate(settings)
    async with serving(settings, gate) as port:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        _say(f"The console is at http://{host}:{port}/")
        if gate.made:
            _say(
                "No token is set. For this run there is one; this address logs you in:\n"
                f"http://{host}:{port}/login?token={gate.made}"
            )
        await stop.wait()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _complain(message: str, hint: str, *, code: str) -> None:
    sys.stderr.write(f"b2jobs console: {message} {hint} [{code}]\n")


if __name__ == "__main__":
    sys.exit(main())
