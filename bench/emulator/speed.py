"""How fast the emulator is, client and server on the same machine.

    python bench/emulator/speed.py [--data DIR] [--seconds 3]

Starts an emulator of its own, drives it over plain sockets (so that the client
costs as little as one can), prints one JSON object. Targets: upload 500 MB/s,
download 800 MB/s, 1,500 small uploads/s, 10,000 listed names/s.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

MB = 1_000_000


def cpu_seconds(process: int) -> float:
    """User and system time of *process*: what its work costs, whoever else is busy."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client:
    """A B2 client that is only as much as the measurement needs."""

    def __init__(self, ready: dict[str, object]) -> None:
        self.port = int(str(ready["port"]))
        self.host = f"127.0.0.1:{self.port}"
        self.http = HTTPConnection("127.0.0.1", self.port)
        import base64

        basic = base64.b64encode(f"{ready['key_id']}:{ready['application_key']}".encode()).decode()
        answer = self.call("b2_authorize_account", {}, f"Basic {basic}")
        self.token = str(answer["authorizationToken"])
        self.account = answer["accountId"]

    def call(self, name: str, fields: dict[str, object], token: str | None = None) -> dict:
        headers = {"Authorization": token or self.token}
        self.http.request("POST", f"/b2api/v4/{name}", json.dumps(fields), headers)
        response = self.http.getresponse()
        body = response.read()
        assert response.status == 200, body
        return json.loads(body)

    def upload_url(self, bucket: str) -> tuple[str, str]:
        answer = self.call("b2_get_upload_url", {"bucketId": bucket})
        path = re.sub(r"^https?://[^/]+", "", answer["uploadUrl"])
        return path, answer["authorizationToken"]


def head(client: Client, path: str, token: str, name: str, size: int, sha1: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {client.host}\r\nAuthorization: {token}\r\n"
        f"X-Bz-File-Name: {name}\r\nContent-Type: application/octet-stream\r\n"
        f"X-Bz-Content-Sha1: {sha1}\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        assert more, data
        data += more
    before, _, rest = data.partition(b"\r\n\r\n")
    return before, rest


def length_of(before: bytes) -> int:
    match = re.search(rb"(?i)content-length: *(\d+)", before)
    assert match, before
    return int(match[1])


def measure_stream(client: Client, server: int, bucket: str, size: int) -> dict[str, float]:
    """One upload and one download of *size* bytes that are not zeros."""
    block = os.urandom(1 << 20)
    digest = hashlib.sha1()
    for _ in range(size >> 20):
        digest.update(block)
    path, token = client.upload_url(bucket)
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        cpu = cpu_seconds(server)
        started = time.perf_counter()
        connection.sendall(head(client, path, token, "stream", size, digest.hexdigest()))
        for _ in range(size >> 20):
            connection.sendall(block)
        before, rest = read_head(connection)
        up = time.perf_counter() - started
        assert b" 200 " in before, (before, rest)
        cpu_up = cpu_seconds(server) - cpu
        left = length_of(before) - len(rest)
        while left > 0:
            left -= len(connection.recv(left))
        buffer = bytearray(1 << 20)
        cpu = cpu_seconds(server)
        started = time.perf_counter()
        connection.sendall(
            f"GET /file/bench-bucket/stream HTTP/1.1\r\nHost: {client.host}\r\n"
            f"Authorization: {client.token}\r\n\r\n".encode()
        )
        before, rest = read_head(connection)
        left = length_of(before) - len(rest)
        while left:
            left -= connection.recv_into(buffer)
        down = time.perf_counter() - started
    gigabytes = size / 1e9
    return {
        "upload_mb_s": size / MB / up,
        "upload_server_cpu_s_per_gb": cpu_up / gigabytes,
        "download_mb_s": size / MB / down,
        "download_server_cpu_s_per_gb": (cpu_seconds(server) - cpu) / gigabytes,
    }


async def measure_small(
    client: Client, server: int, bucket: str, seconds: float, connections: int
) -> dict[str, float]:
    """Uploads of 1,000 bytes over keep-alive connections."""
    body = os.urandom(1000)
    sha1 = hashlib.sha1(body).hexdigest()
    urls = [client.upload_url(bucket) for _ in range(connections)]
    end = time.perf_counter() + seconds
    took: list[float] = []

    async def work(number: int) -> None:
        path, token = urls[number]
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        count = 0
        while (started := time.perf_counter()) < end:
            count += 1
            writer.write(head(client, path, token, f"small/{number}/{count}", 1000, sha1) + body)
            before = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in before, before
            await reader.readexactly(length_of(before))
            took.append(time.perf_counter() - started)
        writer.close()

    cpu = cpu_seconds(server)
    started = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(connections)))
    total = time.perf_counter() - started
    took.sort()
    return {
        "small_uploads_s": len(took) / total,
        "small_p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "small_server_cpu_ms": (cpu_seconds(server) - cpu) / len(took) * 1e3,
    }


def measure_listing(client: Client, bucket: str) -> dict[str, float]:
    """All names, 10,000 a page."""
    names, start = 0, None
    started = time.perf_counter()
    while True:
        fields = {"bucketId": bucket, "maxFileCount": 10_000, "startFileName": start}
        page = client.call("b2_list_file_names", fields)
        names += len(page["files"])
        start = page["nextFileName"]
        if start is None:
            return {"listed": names, "names_s": names / (time.perf_counter() - started)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--size-mib", type=int, default=1024)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="b2emulator-bench-") as temporary:
        data = given.data or Path(temporary) / "data"
        command = [sys.executable, "-m", "b2emulator", "--no-md5", "--data", str(data)]
        command += ["--bucket", "bench-bucket"]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert server.stdout is not None
            client = Client(json.loads(server.stdout.readline()))
            buckets = client.call("b2_list_buckets", {"accountId": client.account})
            bucket = buckets["buckets"][0]["bucketId"]
            result = measure_stream(client, server.pid, bucket, given.size_mib << 20)
            result |= asyncio.run(
                measure_small(client, server.pid, bucket, given.seconds, given.connections)
            )
            result |= measure_listing(client, bucket)
            status = Path(f"/proc/{server.pid}/status").read_text()
            peak = re.search(r"VmHWM:\s+(\d+)", status)
            result["server_peak_rss_mb"] = int(peak[1]) / 1000 if peak else 0.0
        finally:
            server.terminate()
            server.wait()
    print(json.dumps({name: round(value, 2) for name, value in result.items()}))


if __name__ == "__main__":
    main()
