"""Which HTTP server under the emulator: the same small sink on each of them.

    uv pip install uvicorn httptools uvloop granian
    python bench/emulator/servers.py

The sink takes SHA-1 of every body and answers 200; nothing is stored. Prints one
line of JSON for each server: one stream up, small requests on 16 keep-alive
connections, and one stream down out of memory. The numbers stand in
docs/decisions/emulator-http-server.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

BLOCK = os.urandom(1 << 18)
DOWN_BLOCKS = 2048


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["method"] == "GET":
        length = str(DOWN_BLOCKS * len(BLOCK)).encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
        )
        for _ in range(DOWN_BLOCKS):
            await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    digest, more = hashlib.sha1(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    body = digest.hexdigest().encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"40")]}
    )
    await send({"type": "http.response.body", "body": body})


async def rsgi(scope, proto):
    if scope.method == "GET":
        out = proto.response_stream(200, [("content-length", str(DOWN_BLOCKS * len(BLOCK)))])
        for _ in range(DOWN_BLOCKS):
            await out.send_bytes(BLOCK)
        return
    digest = hashlib.sha1()
    async for data in proto:
        digest.update(data)
    proto.response_bytes(200, [("content-length", "40")], digest.hexdigest().encode())


async def aiohttp_sink(request):
    from aiohttp import web

    if request.method == "GET":
        response = web.StreamResponse(headers={"content-length": str(DOWN_BLOCKS * len(BLOCK))})
        await response.prepare(request)
        for _ in range(DOWN_BLOCKS):
            await response.write(BLOCK)
        await response.write_eof()
        return response
    digest = hashlib.sha1()
    while data := await request.content.readany():
        digest.update(data)
    return web.Response(body=digest.hexdigest().encode())


async def serve_aiohttp(port: int) -> None:
    from aiohttp import web

    server = web.Server(aiohttp_sink, access_log=None, read_bufsize=1 << 19)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def serve(kind: str, port: int) -> None:
    if kind == "aiohttp":
        asyncio.run(serve_aiohttp(port))
    elif kind == "aiohttp-uvloop":
        import uvloop

        uvloop.run(serve_aiohttp(port))
    elif kind == "uvicorn":
        import uvicorn

        uvicorn.run(
            asgi, port=port, http="httptools", loop="uvloop", log_level="critical", access_log=False
        )
    else:
        from granian import Granian
        from granian.log import LogLevels

        name = "asgi" if kind == "granian-asgi" else "rsgi"
        Granian(
            f"servers:{name}",
            port=port,
            interface=name,
            log_level=LogLevels.critical,
            log_access=False,
        ).serve()


def measure(kind: str) -> dict[str, object]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, __file__, kind, str(port)],
        cwd=Path(__file__).parent,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.05)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        total = 4096 * len(BLOCK)
        started = time.perf_counter()
        connection.sendall(head % total)
        for _ in range(4096):
            connection.sendall(BLOCK)
        connection.recv(65536)
        up = total / (time.perf_counter() - started) / 1e6
        connection.close()
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        left, buffer = DOWN_BLOCKS * len(BLOCK), bytearray(1 << 20)
        started = time.perf_counter()
        while left > 0:
            left -= connection.recv_into(buffer)
        down = DOWN_BLOCKS * len(BLOCK) / (time.perf_counter() - started) / 1e6
        connection.close()
        small = asyncio.run(measure_small(port, head % 1000 + bytes(1000)))
    finally:
        server.terminate()
        server.wait()
    return {"server": kind, "up_mb_s": round(up), "down_mb_s": round(down), "small_s": round(small)}


async def measure_small(port: int, message: bytes) -> float:
    count = 0
    end = time.perf_counter() + 3

    async def work() -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            writer.write(message)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(40)
            count += 1
        writer.close()

    await asyncio.gather(*(work() for _ in range(16)))
    return count / 3


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        for name in ("aiohttp", "aiohttp-uvloop", "uvicorn", "granian-asgi", "granian-rsgi"):
            print(json.dumps(measure(name)), flush=True)
