"""What is stored is never lost by a second emulator, a deletion, a full disk or a damaged index."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from b2emulator.local import LocalB2, LocalBucket
from support.emulator_process import Running, emulator, files_of
from support.processes import run
from support.raw_client import RawClient
from support.waiting import eventually

LARGE = 3_000_000


def second(*options: str) -> subprocess.CompletedProcess[str]:
    """The command once more; it has to give up."""
    return run(sys.executable, "-m", "b2emulator", *options)


@contextmanager
def open_upload(client: RawClient, bucket: str, size: int) -> Iterator[Callable[[bytes], bytes]]:
    """An upload of which half has arrived; the value sends the rest and reads the answer."""
    url = client.call("b2_get_upload_url", {"bucketId": bucket}).json
    head = (
        f"POST {urlsplit(url['uploadUrl']).path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Authorization: {url['authorizationToken']}\r\nX-Bz-File-Name: half\r\n"
        "Content-Type: text/plain\r\nX-Bz-Content-Sha1: do_not_verify\r\n"
        f"Content-Length: {size}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.running.ready["port"])) as connection:
        connection.sendall(head.encode() + b"h" * (size // 2))
        while client.running.admin.journal(call="b2_upload_file")[-1]["bytes_in"] < size // 2:
            time.sleep(0.01)

        def finish(rest: bytes) -> bytes:
            connection.sendall(rest)
            answer = b""
            while block := connection.recv(1 << 16):
                answer += block
            return answer

        yield finish


@pytest.mark.parametrize("same_port", [True, False])
def test_a_second_emulator_touches_nothing_of_the_first(tmp_path: Path, same_port: bool) -> None:
    """It removed every body without a row, that is the uploads that were going on; then it failed
    for want of its port, and the first one answered 200 for files that were gone.
    """
    data = str(tmp_path / "data")
    with emulator("--data", data, "--bucket", "first-bucket") as running:
        client = RawClient(running)
        client.authorize()
        bucket = client.call("b2_list_buckets", {"accountId": client.account}).json["buckets"][0]
        with open_upload(client, bucket["bucketId"], LARGE) as finish:
            before = files_of(tmp_path / "data")
            assert before
            port = str(running.ready["port"]) if same_port else "0"
            refused = second("--data", data, "--port", port)
            assert (refused.returncode, refused.stdout) == (1, "")
            (said,) = refused.stderr.splitlines()
            assert "cannot start" in said
            assert same_port or "another emulator uses the folder" in said
            assert files_of(tmp_path / "data") == before
            assert b" 200 " in finish(b"i" * (LARGE - LARGE // 2)).partition(b"\r\n")[0]
        stored = client.get("/file/first-bucket/half").body
        assert stored == b"h" * (LARGE // 2) + b"i" * (LARGE - LARGE // 2)
    with emulator("--data", data) as again:  # the lock has gone with its holder
        client = RawClient(again)
        client.authorize()
        assert client.get("/file/first-bucket/half").body == stored


def test_a_lock_goes_with_a_process_that_was_killed(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    with emulator(*data) as running:
        running.kill()
        with emulator(*data) as again:
            again.api()


def test_the_folder_is_closed_to_others(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with emulator("--data", str(data), "--bucket", "first-bucket") as running:
        running.api().get_bucket_by_name("first-bucket").upload_bytes(os.urandom(100_000), "f")
        (body,) = files_of(data)
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE(body.stat().st_mode) & 0o077 == 0


def test_a_bucket_name_b2_would_refuse_makes_no_folder(tmp_path: Path) -> None:
    refused = second("--data", str(tmp_path / "data"), "--bucket", "X Y")
    assert refused.returncode == 1
    assert "'X Y' must be 6 to 63 letters" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_file_deleted_while_it_is_downloaded_ends_the_connection() -> None:
    """An HTTP 500 was written into the body, and the connection stayed open."""
    with LocalB2("--memory", "--min-part-size", "100000") as b2:
        bucket = b2.create_bucket()
        running = RawLike(b2)
        name = {"bucketId": bucket.id, "fileName": "f", "contentType": "text/plain"}
        large = {"fileId": b2.call("b2_start_large_file", name)["fileId"]}
        body = os.urandom(8_000_000)
        sums = [running.part(large, number, body) for number in (1, 2, 3)]
        b2.call("b2_finish_large_file", {**large, "partSha1Array": sums})
        connection = HTTPConnection("127.0.0.1", urlsplit(b2.realm).port, timeout=20)
        connection.request(
            "GET", f"/file/{bucket.name}/f", headers={"Authorization": running.token}
        )
        response = connection.getresponse()
        received = response.read(100_000)
        b2.call("b2_delete_file_version", {**large, "fileName": "f"})
        with suppress(IncompleteRead, ConnectionResetError):
            while block := response.read(1 << 20):
                received += block
        assert len(received) < 3 * len(body)
        assert received == (body * 3)[: len(received)]
        assert "Traceback" not in b2.said()


class RawLike:
    """Uploads parts to a `LocalB2`."""

    def __init__(self, b2: LocalB2) -> None:
        self._b2 = b2
        self.token = str(b2._authorise()["authorizationToken"])

    def part(self, large: dict[str, str], number: int, body: bytes) -> str:
        url = self._b2.call("b2_get_upload_part_url", large)
        return str(self.send(url, body, X_Bz_Part_Number=str(number))[1]["contentSha1"][11:])

    def file(self, bucket: LocalBucket, name: str, body: bytes) -> tuple[int, dict[str, str]]:
        url = self._b2.call("b2_get_upload_url", {"bucketId": bucket.id})
        return self.send(url, body, X_Bz_File_Name=name, Content_Type="text/plain")

    def send(self, url: dict[str, str], body: bytes, **headers: str) -> tuple[int, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", urlsplit(self._b2.realm).port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"X-Bz-Content-Sha1": "do_not_verify", "Authorization": url["authorizationToken"]}
        connection.request("POST", urlsplit(url["uploadUrl"]).path, body, sent)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer


def test_the_longest_timestamp_makes_a_file_that_can_be_named(tmp_path: Path) -> None:
    """With one of 15 digits no call could name it, and its bucket could not be emptied."""
    with LocalB2("--memory") as b2:
        bucket = b2.create_bucket()
        url = b2.call("b2_get_upload_url", {"bucketId": bucket.id})
        headers = {"X_Bz_File_Name": "f", "Content_Type": "a/b"}
        later = {"X_Bz_Custom_Upload_Timestamp": "9" * 14}
        status, made = RawLike(b2).send(url, b"x", **headers, **later)
        assert (status, made["uploadTimestamp"]) == (200, 10**14 - 1)
        b2.call("b2_get_file_info", {"fileId": made["fileId"]})
        b2.call("b2_delete_file_version", {"fileId": made["fileId"], "fileName": "f"})
        start = {"bucketId": bucket.id, "fileName": "l", "contentType": "a/b"}
        large = b2.call("b2_start_large_file", {**start, "customUploadTimestamp": 10**14 - 1})
        b2.call("b2_cancel_large_file", {"fileId": large["fileId"]})
        account = b2._authorise()["accountId"]
        b2.call("b2_delete_bucket", {"accountId": account, "bucketId": bucket.id})


@contextmanager
def limited(data: Path, limit: int, soft: int) -> Iterator[tuple[subprocess.Popen[str], RawClient]]:
    """An emulator that may have only so much of a resource; what it says goes to `said`."""
    with (data.parent / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "b2emulator", "--data", str(data), "--bucket", "first-bucket"],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    assert process.stdout is not None
    with process:
        try:
            client = RawClient(Running(process, json.loads(process.stdout.readline())))
            client.authorize()
            resource.prlimit(process.pid, limit, (soft, soft))
            yield process, client
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], data: Path) -> str:
    """SIGTERM ends it with 0; what it said without its greeting."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    return (data.parent / "said").read_text().partition("Ctrl-C ends it.\n")[2]


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: writing fails in the same place."""
    data = tmp_path / "data"
    with limited(data, resource.RLIMIT_FSIZE, 2_000_000) as (process, client):
        listed = client.call("b2_list_buckets", {"accountId": client.account}).json
        bucket = {"bucketId": listed["buckets"][0]["bucketId"]}
        for _ in range(20):
            url = client.call("b2_get_upload_url", bucket).json
            refused = client.upload(url, "f", os.urandom(LARGE))
            assert (refused.status, refused.code) == (503, "service_unavailable")
            assert "disk is full" in refused.json["message"]
        assert files_of(data) == []
        codes = set()
        for number in range(400):  # until the index itself has no room
            url = client.call("b2_get_upload_url", bucket).json
            answer = client.upload(url, f"f{number}", b"x" * 15_000)
            codes.add((answer.status, answer.code))
            if answer.status != 200:
                break
        assert codes == {(200, None), (503, "service_unavailable")}
        assert client.call("b2_list_file_names", bucket).status == 200
        said = ended(process, data)
    assert "Traceback" not in said
    assert 0 < said.count("disk is full") <= 4
    with emulator("--data", str(data)) as again:
        stored = again.api().get_bucket_by_name("first-bucket").ls()
        assert [version.file_name for version, _ in stored] == sorted(
            f"f{n}" for n in range(number)
        )


def test_no_file_descriptors_left(tmp_path: Path) -> None:
    """58 MB of tracebacks were logged in 4 seconds."""
    data = tmp_path / "data"
    with limited(data, resource.RLIMIT_NOFILE, 40) as (process, client):
        listed = client.call("b2_list_buckets", {"accountId": client.account}).json
        url = client.call("b2_get_upload_url", {"bucketId": listed["buckets"][0]["bucketId"]}).json
        place = ("127.0.0.1", client.running.ready["port"])
        first = HTTPConnection(*place, timeout=30)
        first.connect()
        others = [socket.create_connection(place, timeout=30) for _ in range(60)]
        path = urlsplit(url["uploadUrl"]).path
        headers = {
            "X-Bz-File-Name": "f",
            "Content-Type": "a/b",
            "X-Bz-Content-Sha1": "do_not_verify",
            "Authorization": url["authorizationToken"],
        }

        def refused() -> Any:
            first.request("POST", path, b"x" * LARGE, headers)
            response = first.getresponse()
            said = json.loads(response.read())
            return response.status != 200 and (response.status, said["code"])

        # Connections that end, and those that are accepted a second later, come in between.
        assert eventually(refused) == (503, "service_unavailable")
        for connection in others:
            connection.close()
        answer = client.get("/file/first-bucket/none")  # it goes on when there are some again
        assert answer.code == "not_found"
        said = ended(process, data)
    assert "Traceback" not in said
    assert 0 < len(said) < 2000


def test_an_index_that_was_damaged_before_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with emulator("--data", str(data), "--bucket", "first-bucket"):
        pass
    (data / "index.sqlite").write_bytes(b"no database " * 1000)
    refused = second("--data", str(data))
    assert refused.returncode == 1
    (said,) = refused.stderr.splitlines()
    assert "index.sqlite cannot be read" in said
    assert (data / "index.sqlite").read_bytes() == b"no database " * 1000


def test_an_index_with_a_row_that_is_no_bucket(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with emulator("--data", str(data), "--bucket", "first-bucket"):
        pass
    with sqlite3.connect(data / "index.sqlite") as index:
        index.execute("UPDATE buckets SET document = '{'")
    index.close()
    refused = second("--data", str(data))
    assert refused.returncode == 1
    (said,) = refused.stderr.splitlines()
    assert "index.sqlite cannot be read" in said


def test_an_index_that_is_damaged_while_it_is_used(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with LocalB2("--data", str(data)) as b2:
        bucket = b2.create_bucket()
        with sqlite3.connect(data / "index.sqlite") as index:
            index.execute("DROP TABLE versions")
        index.close()
        for _ in range(10):
            status, answer = RawLike(b2).file(bucket, "f", b"x")
            assert (status, answer["code"]) == (500, "internal_error")
            assert "index" in answer["message"]
        b2._process.terminate()
        assert b2._process.wait(timeout=30) == 0
        said = b2.said()
        assert "Traceback" not in said
        assert said.count("no such table") <= 2


def test_an_index_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Its table of parts has no MD5."""
    data = tmp_path / "data"
    with LocalB2("--data", str(data)) as b2:
        bucket = b2.create_bucket()
        name = {"bucketId": bucket.id, "fileName": "f", "contentType": "text/plain"}
        large = {"fileId": b2.call("b2_start_large_file", name)["fileId"]}
        RawLike(b2).part(large, 1, b"x")
    with sqlite3.connect(data / "index.sqlite") as index:
        index.execute("ALTER TABLE parts DROP COLUMN md5")
    index.close()
    with LocalB2("--data", str(data)) as b2:
        (part,) = b2.call("b2_list_parts", large)["parts"]
        assert (part["contentMd5"], part["contentLength"]) == (None, 1)
        RawLike(b2).part(large, 2, b"y")
        assert b2.call("b2_list_parts", large)["parts"][1]["contentMd5"] is not None
