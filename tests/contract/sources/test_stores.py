"""Object stores over HTTP: which keys can be read, what is refused, how prefixes are listed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2jobs.errors import JobError
from b2jobs.locations import RootPath, StoreObject, parse
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import open_source
from b2jobs_worker.sources.listing import list_root
from b2jobs_worker.sources.port import Problem
from contract.sources.storeserver import StoreServer, store_server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server(tmp_path_factory.mktemp("stores")) as server:
        keys = [
            "a-b",
            "a.txt",
            "a/b",
            "a//b",
            "/lead",
            "folder/",
            "folder/x",
            "full/",
            "é",
            "\U0001f600",
            "\uffee",
        ]
        server.fill("odd", {key: b"" if key == "folder/" else key.encode() for key in keys})
        server.fill("plain", {key: key.encode() for key in ("a-b", "a.txt", "a/b", "ab/c", "é")})
        yield server


def read(uri: str, settings: Settings) -> bytes:
    source = open_source(uri, settings)
    try:
        with source.open() as stream:
            return b"".join(iter(lambda: stream.read(100), b""))
    finally:
        source.close()


def code(uri: str, settings: Settings) -> str:
    with pytest.raises(JobError) as caught:
        read(uri, settings)
    return caught.value.code


@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize(
    "key", ["a-b", "a/b", "a//b", "/lead", "folder/x", "full/", "é", "\U0001f600"]
)
def test_keys_are_read_as_they_are(running: StoreServer, scheme: str, key: str) -> None:
    settings = running.settings(all=f"{scheme}://odd")
    assert read(f"{scheme}://odd/{key}", settings) == key.encode()
    assert read(f"data://all/{key}", settings) == key.encode()


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_root_ends_where_it_ends(running: StoreServer, scheme: str) -> None:
    settings = running.settings(a=f"{scheme}://plain/a")
    assert read("data://a/b", settings) == b"a/b"
    assert code("data://a/../a-b", settings) == "outside_root"
    assert code("data://a/b/../../a-b", settings) == "outside_root"
    for inside in ("data://a/dot/../b", "data://a/./b", f"{scheme}://plain/a/../a-b"):
        assert code(inside, settings) == "source_name_unsupported"
    for prefix in ("data://a/", "data://a", f"{scheme}://plain", f"{scheme}://odd/folder/"):
        assert code(prefix, settings) == "source_is_directory"


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_what_is_not_there(running: StoreServer, scheme: str) -> None:
    settings = running.settings()
    assert code(f"{scheme}://plain/none", settings) == "source_missing"
    assert code(f"{scheme}://nosuchbucket/none", settings) == "source_missing"


@pytest.mark.parametrize("scheme", ["s3", "gs", "azure"])
def test_nothing_is_read_without_an_entry_for_it(tmp_path: Path, scheme: str) -> None:
    secrets = tmp_path / "b2.json"
    secrets.write_text('{"key_id": "a", "application_key": "b", "stores": {"s3://other": {}}}')
    secrets.chmod(0o600)
    settings = Settings(secrets_file=secrets)
    assert code(f"{scheme}://bucket/key", settings) == "store_credentials_missing"
    with pytest.raises(JobError) as caught:
        list_root(StoreObject(scheme, "bucket", ""), settings, report=print).__next__()
    assert caught.value.code == "store_credentials_missing"


@pytest.mark.parametrize(
    ("scheme", "library"), [("s3", "boto3"), ("gs", "boto3"), ("azure", "azure.core")]
)
def test_a_worker_without_the_extra_says_so(
    running: StoreServer, monkeypatch: pytest.MonkeyPatch, scheme: str, library: str
) -> None:
    for module in ("s3", "s3_clients", "s3_failures", "azure"):
        monkeypatch.delitem(sys.modules, f"b2jobs_worker.sources.{module}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(JobError) as caught:
        read(f"{scheme}://plain/a-b", running.settings())
    assert (caught.value.code, caught.value.act) == ("store_extra_missing", "operator")
    assert "b2jobs[worker,stores]" in caught.value.hint


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_store_that_is_not_there_passes(tmp_path: Path, scheme: str) -> None:
    settings = StoreServer("http://127.0.0.1:1", tmp_path).settings()
    with pytest.raises(JobError) as caught:
        read(f"{scheme}://bucket/key", settings)
    assert caught.value.code in ("source_unreachable", "source_unavailable")
    assert caught.value.act == "nobody"


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_prefix_is_listed_in_byte_order(running: StoreServer, scheme: str) -> None:
    settings = running.settings(a=f"{scheme}://plain/a", all=f"{scheme}://plain")

    def names(root: str, path: str = "", after: str = "") -> list[str]:
        found: list[Problem] = []
        location = RootPath(root, path)
        listing = list_root(location, settings, report=found.append, after=after)
        result = [entry.name for entry in listing]
        assert found == []
        return result

    assert names("all") == ["a-b", "a.txt", "a/b", "ab/c", "é"]
    assert names("all", after="a.txt") == ["a/b", "ab/c", "é"]
    assert names("all", after="a/a") == ["a/b", "ab/c", "é"]
    assert names("a") == names("all", "a") == names("all", "a/") == ["b"]
    assert names("all", "none") == []


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_odd_keys_are_listed_too(running: StoreServer, scheme: str) -> None:
    found: list[Problem] = []
    listing = list_root(parse(f"{scheme}://odd"), running.settings(), report=found.append)
    assert [entry.name for entry in listing] == [
        "/lead", "a-b", "a.txt", "a//b", "a/b", "folder/x", "é", "\uffee", "\U0001f600",
    ]  # fmt: skip
    assert [(problem.name, problem.code) for problem in found] == [
        ("full/", "source_name_unsupported")
    ]


def test_an_entry_is_what_opening_the_object_would_tell(running: StoreServer) -> None:
    for scheme in ("s3", "gs"):
        settings = running.settings()
        entry = next(list_root(parse(f"{scheme}://plain"), settings, report=print))
        source = open_source(f"{scheme}://plain/{entry.name}", settings)
        assert (entry.size, entry.identity) == (source.size, source.identity)
        assert entry.modified_millis // 1000 == (source.modified_millis or 0) // 1000
        source.close()
