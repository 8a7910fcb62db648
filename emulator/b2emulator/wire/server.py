"""The listening socket and its life."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from b2emulator.emulator import Emulator
from b2emulator.wire.handler import Handler

READ_BUFFER_BYTES = 1 << 19
"""What may wait to be read of one request; reading from the socket pauses at twice that."""
MAX_HEADER_BYTES = 16_384


@asynccontextmanager
async def serving(emulator: Emulator) -> AsyncIterator[int]:
    """Listen as the settings say; the value is the port. At the end open calls get a second."""
    server = web.Server(
        Handler(emulator),
        access_log=None,
        read_bufsize=READ_BUFFER_BYTES,
        auto_decompress=False,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        lingering_time=2.0,
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        settings = emulator.settings
        listener = _listener(settings.host, settings.port)
        site = web.SockSite(runner, listener, backlog=1024)
        await site.start()
        yield listener.getsockname()[1]
    finally:
        await runner.cleanup()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


async def run_until(emulator: Emulator, stop: asyncio.Event, ready: Callable[[int], None]) -> None:
    """Serve until *stop* is set; *ready* is called once with the port."""
    async with serving(emulator) as port:
        ready(port)
        await stop.wait()
