"""What is stored stays, what is not finished leaves nothing."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import sqlite3
from pathlib import Path

from support.emulator_process import PART_BYTES, Running, emulator, files_of, start
from support.raw_client import RawClient

OPTIONS = ("--min-part-size", str(PART_BYTES), "--recommended-part-size", str(PART_BYTES))


def content(running: Running, name: str) -> bytes:
    out = io.BytesIO()
    running.api().get_bucket_by_name("kept-bucket").download_file_by_name(name).save(out)
    return out.getvalue()


def begin_upload(running: Running, name: str, size: int, sent: int) -> socket.socket:
    """An upload that stays open after *sent* of *size* bytes have arrived."""
    client = RawClient(running)
    client.authorize()
    bucket = running.api().get_bucket_by_name("kept-bucket")
    url = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
    path = url["uploadUrl"].removeprefix(running.realm)
    connection = socket.create_connection(("127.0.0.1", running.ready["port"]))
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {url['authorizationToken']}\r\n"
        f"X-Bz-File-Name: {name}\r\nContent-Type: text/plain\r\n"
        f"X-Bz-Content-Sha1: do_not_verify\r\nContent-Length: {size}\r\n\r\n".encode()
        + os.urandom(sent)
    )
    while running.admin.journal(call="b2_upload_file")[-1]["bytes_in"] < sent:
        pass
    return connection


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    data, small, large = tmp_path / "data", os.urandom(100), os.urandom(PART_BYTES * 3 + 1)
    with emulator("--data", str(data), "--bucket", "kept-bucket", *OPTIONS) as running:
        api = running.api()
        bucket = api.get_bucket_by_name("kept-bucket")
        bucket.upload_bytes(small, "small")
        bucket.upload_bytes(large, "large")
        bucket.upload_bytes(b"x", "hidden")
        bucket.hide_file("hidden")
        key = api.create_key(["listFiles", "readFiles", "listBuckets"], "kept")
        unfinished = api.session.start_large_file(bucket.id_, "open", "text/plain", {})["fileId"]
        part = os.urandom(PART_BYTES)
        sha1 = hashlib.sha1(part).hexdigest()
        api.session.upload_part(unfinished, 1, len(part), sha1, io.BytesIO(part))
        credentials = {name: running.ready[name] for name in ("key_id", "application_key")}
        token = api.account_info.get_account_auth_token()
        assert running.end() == 0
    with emulator("--data", str(data), *OPTIONS) as running:
        assert {name: running.ready[name] for name in credentials} == credentials
        assert content(running, "small") == small
        assert content(running, "large") == large
        api = running.api(key.id_, key.application_key)
        bucket = api.get_bucket_by_name("kept-bucket")
        assert [v.file_name for v, _ in bucket.ls()] == ["large", "small"]
        whole = running.api()
        assert [p.part_number for p in whole.list_parts(unfinished)] == [1]
        whole.session.upload_part(
            unfinished, 2, 1, hashlib.sha1(b"x").hexdigest(), io.BytesIO(b"x")
        )
        both = [sha1, hashlib.sha1(b"x").hexdigest()]
        finished = whole.session.finish_large_file(unfinished, both)
        assert finished["contentLength"] == PART_BYTES + 1
        # A token from before is still good: a client does not notice the restart.
        client = RawClient(running, token=token)
        assert client.call("b2_list_file_names", {"bucketId": bucket.id_}).status == 200


def test_kill_9_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    data, body = tmp_path / "data", os.urandom(3_000_000)
    running = start("--data", str(data), "--bucket", "kept-bucket")
    running.api().get_bucket_by_name("kept-bucket").upload_bytes(body, "whole")
    connection = begin_upload(running, "half", 50_000_000, 5_000_000)
    assert len(files_of(data)) == 2
    running.kill()
    connection.close()
    with emulator("--data", str(data)) as running:
        bucket = running.api().get_bucket_by_name("kept-bucket")
        assert [v.file_name for v, _ in bucket.ls(latest_only=False)] == ["whole"]
        assert content(running, "whole") == body
        assert [path.stat().st_size for path in files_of(data)] == [len(body)]


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with emulator("--data", str(data), "--bucket", "kept-bucket") as running:
        connection = begin_upload(running, "half", 50_000_000, 5_000_000)
        connection.close()
        while not running.admin.counters().errors.get("connection_cut"):
            pass
        assert files_of(data) == []
        bucket = running.api().get_bucket_by_name("kept-bucket")
        assert list(bucket.ls(latest_only=False)) == []


def test_ending_with_an_upload_open(tmp_path: Path) -> None:
    running = start("--data", str(tmp_path / "data"), "--bucket", "kept-bucket")
    connection = begin_upload(running, "half", 50_000_000, 5_000_000)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=20) == 0
    connection.close()
    assert files_of(tmp_path / "data") == []


def test_bodies_go_with_their_last_version(tmp_path: Path) -> None:
    data, body = tmp_path / "data", os.urandom(100_000)
    with emulator("--data", str(data), "--bucket", "kept-bucket", *OPTIONS) as running:
        bucket = running.api().get_bucket_by_name("kept-bucket")
        first = bucket.upload_bytes(body, "first")
        second = bucket.copy(first.id_, "second")
        third = bucket.copy(first.id_, "third", offset=10, length=50_000)
        assert len(files_of(data)) == 1
        bucket.delete_file_version(first.id_, "first")
        bucket.delete_file_version(second.id_, "second")
        assert content(running, "third") == body[10:50_010]
        bucket.delete_file_version(third.id_, "third")
        assert files_of(data) == []
        session = bucket.api.session
        started = session.start_large_file(bucket.id_, "l", "text/plain", {})["fileId"]
        sha1 = hashlib.sha1(body).hexdigest()
        for _ in range(2):
            session.upload_part(started, 1, len(body), sha1, io.BytesIO(body))
        assert len(files_of(data)) == 1  # the second one replaced the first
        session.cancel_large_file(started)
        assert files_of(data) == []
    with sqlite3.connect(data / "index.sqlite") as index:
        assert index.execute("SELECT count(*) FROM bodies").fetchone() == (0,)


def test_zeros_take_no_room_and_memory_does_not_grow(tmp_path: Path) -> None:
    """300 MB up and down; the emulator may not hold a tenth of it."""
    data, size = tmp_path / "data", 300_000_000
    with emulator("--data", str(data), "--bucket", "kept-bucket") as running:
        bucket = running.api().get_bucket_by_name("kept-bucket")
        client = RawClient(running)
        client.authorize()
        status = Path(f"/proc/{running.process.pid}/status")

        def peak_kb() -> int:
            lines = status.read_text().splitlines()
            return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

        before = peak_kb()
        url = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
        assert client.upload(url, "zeros", bytes(size)).status == 200
        answer = client.get(f"/file/{bucket.name}/zeros")
        assert answer.body == bytes(size)
        (path,) = files_of(data)
        assert path.stat().st_size == size
        assert path.stat().st_blocks * 512 < 1_000_000
        assert peak_kb() - before < 30_000


def test_memory_leaves_nothing(tmp_path: Path) -> None:
    env_dir = tmp_path / "tmp"
    env_dir.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(env_dir)
    try:
        with emulator("--memory", "--bucket", "kept-bucket") as running:
            running.api().get_bucket_by_name("kept-bucket").upload_bytes(bytes(100_000), "f")
            assert list(env_dir.iterdir()) != []
        assert list(env_dir.iterdir()) == []
        running = start("--memory")
        running.kill()
        with emulator("--memory"):
            # The next one clears up after one that was killed.
            assert len(list(env_dir.iterdir())) == 1
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def test_discarded_bodies_are_served_as_zeros() -> None:
    with emulator("--memory", "--bucket", "kept-bucket", "--discard-bodies") as running:
        bucket = running.api().get_bucket_by_name("kept-bucket")
        body = os.urandom(70_000)
        version = bucket.upload_bytes(body, "f")
        assert version.content_sha1 == hashlib.sha1(body).hexdigest()
        client = RawClient(running)
        client.authorize()
        assert client.get("/file/kept-bucket/f").body == bytes(70_000)
