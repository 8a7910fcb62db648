"""What every source promises, over all its implementations."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import ContentSettings

from b2jobs.errors import JobError
from b2jobs_worker.settings import Root, Settings
from b2jobs_worker.sources import open_source
from b2jobs_worker.sources.port import Source
from contract.sources.storeserver import StoreServer, store_server
from contract.sources.webserver import web_server
from support.azurite import Azurite, azurite

CONTENT = hashlib.shake_256(b"b2jobs").digest(150_000)
OTHER = hashlib.shake_256(b"other").digest(150_000)


@dataclass
class Kind:
    """One kind of place: where its file is, and how to put other bytes there."""

    uri: str
    settings: Settings
    put: Callable[[bytes], None]
    changes: bool = True
    content_type: str | None = None

    def open(self) -> Source:
        return open_source(self.uri, self.settings)


def local(folder: Path) -> Iterator[Kind]:
    path = folder / "file"
    root = Root.model_validate({"url": f"file://{folder}"})

    def put(content: bytes) -> None:
        path.write_bytes(content)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 5_000_000))

    yield Kind("data://.my/file", Settings(roots={".my": root}), put)


def inline(folder: Path) -> Iterator[Kind]:
    kind = Kind("", Settings(), lambda _: None, changes=False, content_type="image/png")

    def put(content: bytes) -> None:
        kind.uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"

    kind.put = put
    yield kind


def web(folder: Path, *, ranges: bool = True) -> Iterator[Kind]:
    with web_server(folder) as server:
        server.ranges = ranges
        server.headers = {"Content-Type": "image/png"}

        def put(content: bytes) -> None:
            server.content, server.etag = content, f'"{hashlib.md5(content).hexdigest()}"'

        settings = Settings(private_hosts="localhost", ca_file=server.ca_file)
        yield Kind(server.url(), settings, put, content_type="image/png")


def web_without_ranges(folder: Path) -> Iterator[Kind]:
    yield from web(folder, ranges=False)


def store(server: StoreServer, scheme: str) -> Iterator[Kind]:
    bucket = f"bucket{uuid.uuid4().hex}"
    server.fill(bucket, {})

    def put(content: bytes) -> None:
        server.client.put_object(
            Bucket=bucket,
            Key="a folder/é+%20",
            Body=content,
            ContentType="image/png",
            ACL="public-read",
        )

    settings = server.settings(legacy=f"{scheme}://{bucket}/a folder")
    yield Kind("data://legacy/é+%20", settings, put, content_type="image/png")


def s3(server: StoreServer) -> Iterator[Kind]:
    yield from store(server, "s3")


def gs(server: StoreServer) -> Iterator[Kind]:
    yield from store(server, "gs")


def azure(server: Azurite, folder: Path) -> Iterator[Kind]:
    box = server.client.create_container(f"box{uuid.uuid4().hex}")

    def put(content: bytes) -> None:
        kind = ContentSettings(content_type="image/png")
        box.upload_blob("a folder/é+%20", content, overwrite=True, content_settings=kind)

    secrets = folder / "secrets.json"
    account = {"key_id": "id", "application_key": "secret"}
    secrets.write_text(json.dumps({**account, "stores": {"azure://": server.credentials()}}))
    secrets.chmod(0o600)
    root = Root.model_validate({"url": f"azure://{box.container_name}/a folder"})
    settings = Settings(secrets_file=secrets, roots={"legacy": root})
    yield Kind("data://legacy/é+%20", settings, put, content_type="image/png")


@pytest.fixture(scope="module")
def azure_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azure")) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server(tmp_path_factory.mktemp("stores")) as server:
        yield server


@pytest.fixture(
    params=[local, inline, web, web_without_ranges, s3, gs, azure], ids=lambda f: f.__name__
)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    places: tuple[object, ...] = (tmp_path,)
    if request.param in (s3, gs):
        places = (request.getfixturevalue("running"),)
    elif request.param is azure:
        places = (request.getfixturevalue("azure_running"), tmp_path)
    for made in request.param(*places):
        made.put(CONTENT)
        yield made


def content(source: Source, offset: int = 0) -> bytes:
    with source.open(offset) as stream:
        return b"".join(iter(lambda: stream.read(9_999), b""))


def test_it_gives_its_bytes_from_any_offset_any_number_of_times(kind: Kind) -> None:
    source = kind.open()
    assert source.size == len(CONTENT)
    for offset in (0, 1, 70_000, len(CONTENT) - 1, len(CONTENT), 0):
        assert content(source, offset) == CONTENT[offset:]
    source.close()


def test_going_on_begins_anywhere(kind: Kind) -> None:
    first = kind.open()
    source = open_source(kind.uri, kind.settings, resuming=True)
    same = (source.size, source.content_type, source.modified_millis, source.identity)
    assert same == (first.size, first.content_type, first.modified_millis, first.identity)
    for offset in (70_000, 0, len(CONTENT)):
        assert content(source, offset) == CONTENT[offset:]
    source.close()
    first.close()


def test_a_read_gives_no_more_than_was_asked_for(kind: Kind) -> None:
    source = kind.open()
    with source.open() as stream:
        assert len(stream.read(1)) == 1
        assert 0 < len(stream.read(100)) <= 100
    source.close()


def test_it_can_be_read_by_many_threads_at_once(kind: Kind) -> None:
    source = kind.open()
    together = threading.Barrier(4)

    def part(offset: int) -> bool:
        together.wait(30)
        return content(source, offset) == CONTENT[offset:]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(part, (0, 0, 50_000, 100_000)))
    source.close()


def test_it_tells_what_it_is(kind: Kind) -> None:
    source = kind.open()
    assert source.uri
    assert source.content_type == kind.content_type
    assert (source.modified_millis is None) == (not kind.changes)
    source.check_unchanged()
    source.close()
    source.close()


def test_identity_is_the_contents(kind: Kind) -> None:
    def identity() -> str:
        source = kind.open()
        source.close()
        return source.identity

    first = identity()
    assert identity() == first
    kind.put(OTHER)
    assert identity() != first


def test_a_change_is_noticed(kind: Kind) -> None:
    if not kind.changes:
        return
    source = kind.open()
    kind.put(OTHER)
    with pytest.raises(JobError) as caught:
        source.check_unchanged()
    assert (caught.value.code, caught.value.act) == ("source_changed", "nobody")
    source.close()


def test_nothing_is_something_too(kind: Kind) -> None:
    kind.put(b"")
    source = kind.open()
    assert source.size == 0
    assert content(source) == content(source) == content(source, 5) == b""
    source.close()


def test_leaving_early_leaves_nothing_open(kind: Kind) -> None:
    before = open_here()
    for _ in range(20):
        source = kind.open()
        with source.open() as stream:
            stream.read(10)
        with pytest.raises(ZeroDivisionError), source.open(5) as stream:
            raise ZeroDivisionError
        source.close()
    assert len(open_here()) < len(before) + 5


def open_here() -> list[str | int]:
    """The files and connections that this process has open.

    Without the servers' ends of the connections and what they wait with: the servers run in this
    process too, and close theirs when their threads, or Python's collector, come to it. With
    those this failed on Python 3.13 and on busy machines.
    """
    found: list[str | int] = []
    servers: set[int] = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            what = str(entry.readlink())
            if what.startswith("anon_inode:"):
                continue
            if not what.startswith("socket:"):
                found.append(what)
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as end:
                if end.family not in (socket.AF_INET, socket.AF_INET6):
                    found.append(what)
                elif end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    servers.add(end.getsockname()[1])
                else:
                    found.append(end.getsockname()[1])
    return [each for each in found if each not in servers]


def test_a_stream_that_was_closed_gives_nothing_more(kind: Kind) -> None:
    source = kind.open()
    with source.open() as stream:
        stream.read(10)
        stream.close()
        with pytest.raises((JobError, ValueError)):
            stream.read(10)
    source.close()
