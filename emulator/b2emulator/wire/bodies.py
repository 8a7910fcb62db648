"""The bytes of requests and responses, with the faults that can strike them."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from b2emulator.calls.downloads import Download
from b2emulator.faults.effects import ConnectionCut, Effects, Pace
from b2emulator.journal import Entry
from b2emulator.store.reader import Span, blocks

SMALL_FILE_BYTES = 1 << 16


async def request_body(
    request: web.BaseRequest, entry: Entry, effects: Effects | None
) -> AsyncIterator[bytes]:
    """What the client sends, as it arrives."""
    content = request.content
    reset_at = effects.reset_request_at if effects else None
    rate = effects.bytes_per_second if effects else None
    pace = Pace(rate) if rate else None
    if reset_at == 0:
        raise ConnectionCut
    if request.headers.get("Expect", "").lower() == "100-continue":
        # curl waits for this with larger bodies; aiohttp does it in its Application only.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    while data := await content.readany():
        entry.bytes_in += len(data)
        if reset_at is not None and entry.bytes_in >= reset_at:
            raise ConnectionCut
        if pace is not None:
            await pace.passed(len(data))
        yield data


async def send_download(
    request: web.BaseRequest,
    download: Download,
    spans: list[Span],
    entry: Entry,
    effects: Effects | None,
) -> web.StreamResponse:
    """Answer a download; plain files leave through sendfile."""
    response = web.StreamResponse(status=download.status, headers=download.headers)
    response.content_length = download.length
    writer = await response.prepare(request)
    if request.method == "HEAD" or writer is None:
        await response.write_eof()
        return response
    if effects is None:
        for span in spans:
            if span.path is not None and span.length >= SMALL_FILE_BYTES:
                entry.bytes_out += await _send_file(request, span)
            else:
                for block in blocks(span):
                    await writer.write(block)
                    entry.bytes_out += len(block)
    else:
        await _send_struck(writer, spans, entry, effects)
    await response.write_eof()
    return response


async def _send_file(request: web.BaseRequest, span: Span) -> int:
    transport = request.transport
    if transport is None or span.path is None:
        raise ConnectionResetError("the client has gone")
    with span.path.open("rb") as file:
        return int(
            await request._loop.sendfile(transport, file, span.offset, span.length) or span.length
        )


async def _send_struck(
    writer: AbstractStreamWriter, spans: list[Span], entry: Entry, effects: Effects
) -> None:
    """Send with a pace, a wrong byte, or an end before the end."""
    pace = Pace(effects.bytes_per_second) if effects.bytes_per_second else None
    ends = [at for at in (effects.truncate_at, effects.reset_response_at) if at is not None]
    end = min(ends, default=None)
    step = (
        max(1, min(1 << 16, effects.bytes_per_second // 20))
        if effects.bytes_per_second
        else 1 << 16
    )
    for span in spans:
        for block in blocks(span):
            for start in range(0, len(block), step):
                data = block[start : start + step]
                wrong = effects.corrupt_at
                if wrong is not None and entry.bytes_out <= wrong < entry.bytes_out + len(data):
                    at = wrong - entry.bytes_out
                    data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
                if end is not None and entry.bytes_out + len(data) > end:
                    data = data[: end - entry.bytes_out]
                    if data:
                        await writer.write(data)
                    entry.bytes_out += len(data)
                    await writer.drain()
                    raise ConnectionCut(reset=end == effects.reset_response_at)
                if pace is not None:
                    await pace.passed(len(data))
                await writer.write(data)
                entry.bytes_out += len(data)


def cut_connection(request: web.BaseRequest, *, reset: bool) -> None:
    """End the connection: with a reset, or cleanly after what was sent."""
    transport = request.transport
    if transport is None:
        return
    if not reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Linger of zero seconds: closing sends RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
