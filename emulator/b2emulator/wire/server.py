"""The listening socket and its life."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from b2emulator.emulator import Emulator
from b2emulator.errors import B2Error
from b2emulator.wire.answers import error_response
from b2emulator.wire.handler import Handler
from b2emulator.wire.trouble import Complaints

READ_BUFFER_BYTES = 1 << 19
"""What may wait to be read of one request; reading from the socket pauses at twice that."""
MAX_HEADER_BYTES = 16_384
BACKLOG = 1024


class _Connection(RequestHandler):
    """One connection; what is no HTTP is refused in B2's shape too."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError) or request.writer.output_size > 0:
            raise ConnectionResetError from None  # ends the connection without a word
        if status < 500:
            # The parser's message goes on to show the bytes; its first line says what is wrong.
            reason = str(message or "malformed HTTP").splitlines()[0].rstrip(":")
            response = error_response(B2Error(status, "bad_request", reason))
        else:
            self.log_exception("a request failed outside of its handler", exc_info=exc)
            bug = B2Error(500, "internal_error", "the emulator has a bug: see its log")
            response = error_response(bug)
        response.force_close()
        return response


class _Server(web.Server):
    """Makes connections of our kind."""

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


@asynccontextmanager
async def serving(
    emulator: Emulator, listener: socket.socket, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Answer what comes in at *listener*. At the end open calls get a second."""
    server = _Server(
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
        await web.SockSite(runner, listener, backlog=BACKLOG, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()


def listen(host: str, port: int) -> socket.socket:
    """Take the port. Clients that come before `serving` wait.

    Raises:
        OSError: the port is taken, or the host is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Only listening takes it: two sockets may be bound to one port with SO_REUSEADDR.
        listener.listen(BACKLOG)
    except OverflowError:
        listener.close()
        raise OSError(f"there is no port {port}") from None
    except OSError:
        listener.close()
        raise
    return listener


async def run_until(
    emulator: Emulator,
    listener: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until *stop* is set; *ready* is called once clients are answered."""
    complaints = Complaints()

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # asyncio reports each of a thousand connections it cannot accept, with a traceback.
        error = context.get("exception")
        if isinstance(error, OSError):
            complaints.say(f"{context['message']}: {error}")
        elif not (stop.is_set() and isinstance(error, ValueError)):
            # (That is asyncio, about to accept again at a socket closed in the meantime.)
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(complain)
    async with serving(emulator, listener, tls):
        ready()
        await stop.wait()
