"""CPU of one small POST on a kept connection, for each HTTP layer that could stand below b2sdk.

python bench/engine/http_layer.py        (needs httpcore beside the worker's packages)
"""

from __future__ import annotations

import http.client
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from urllib3.connection import HTTPConnection

from b2jobs_worker.b2.http import Session

CALLS = 3000
BODY = bytes(16_384)
HEADERS = {
    "Authorization": "token" * 15,
    "X-Bz-File-Name": "a/b/c.txt",
    "Content-Type": "b2/x-auto",
    "Content-Length": str(len(BODY)),
    "X-Bz-Content-Sha1": "0" * 40,
    "X-Bz-Info-src_last_modified_millis": "1700000000000",
    "User-Agent": "bench",
    "Accept": "application/json",
}
JSON = b'{"fileId": "4_z", "fileName": "a/b/c.txt", "contentSha1": "%s"}' % (b"0" * 40)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nCache-Control: max-age=0, no-cache, no-store\r\n"
    b"Content-Type: application/json;charset=UTF-8\r\nContent-Length: %d\r\n"
    b"Date: Fri, 16 Dec 2016 20:52:30 GMT\r\nConnection: keep-alive\r\n"
    b"Strict-Transport-Security: max-age=63072000\r\n\r\n" % len(JSON)
) + JSON


def serve(ready: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ready.put(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    got = b""
    while chunk := connection.recv(65_536):
        got += chunk
        _, end, body = got.partition(b"\r\n\r\n")
        if end and len(body) >= len(BODY):
            got = b""
            connection.sendall(ANSWER)


def layers(port: int) -> dict[str, Callable[[], Any]]:
    url = f"http://127.0.0.1:{port}/x"
    old, pool, ours = requests.Session(), urllib3.PoolManager(), Session()
    ours.allows_http = True
    plain = http.client.HTTPConnection("127.0.0.1", port)
    single = HTTPConnection("127.0.0.1", port)

    def with_client() -> None:
        plain.request("POST", "/x", BODY, HEADERS)
        plain.getresponse().read()

    def with_connection() -> None:
        single.request("POST", "/x", BODY, HEADERS, preload_content=True)
        _ = single.getresponse().data

    found: dict[str, Callable[[], Any]] = {
        "requests.Session": lambda: old.post(url, data=BODY, headers=HEADERS).content,
        "urllib3 PoolManager": lambda: (
            pool.urlopen("POST", url, body=BODY, headers=HEADERS, retries=False).data
        ),
        "urllib3 connection": with_connection,
        "http.client": with_client,
        "b2jobs": lambda: ours.request("POST", url, headers=HEADERS, data=BODY).content,
    }
    try:
        import httpcore
    except ImportError:
        return found
    core = httpcore.ConnectionPool()
    pairs = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    pairs.append((b"Host", b"127.0.0.1"))
    found["httpcore"] = lambda: core.request("POST", url, headers=pairs, content=BODY).content
    return found


def main() -> None:
    ready: multiprocessing.SimpleQueue[int] = multiprocessing.SimpleQueue()
    server = multiprocessing.Process(target=serve, args=(ready,), daemon=True)
    server.start()
    for name, call in layers(ready.get()).items():
        rounds = []
        for _ in range(3):
            call()
            before = time.process_time()
            for _ in range(CALLS):
                call()
            rounds.append((time.process_time() - before) / CALLS * 1000)
        sys.stdout.write(f"{name:22}{sorted(rounds)[1]:.3f} ms of CPU a call\n")
    server.terminate()


if __name__ == "__main__":
    main()
