"""Object stores as they are: cut bodies, requests that cost money, certificates, metadata."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from azure.storage.blob import ContentSettings, StandardBlobTier
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from b2jobs.errors import JobError
from b2jobs.locations import parse
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources import open_source
from b2jobs_worker.sources.listing import list_root
from b2jobs_worker.sources.port import Problem, Source, check_unchanged, is_remote
from contract.sources.storeserver import StoreServer, store_server
from support.azurite import KEY, Azurite, azurite
from support.proxy import Proxy, proxy

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server(tmp_path_factory.mktemp("stores")) as server:
        server.fill("box", {"file": CONTENT, "folder/": b"", "full/": b"full"})
        server.client.put_object(
            Bucket="box",
            Key="rich",
            Body=b"packed",
            CacheControl="max-age=60",
            ContentDisposition='inline; filename="a b.txt"',
            ContentEncoding="gzip",
            ContentLanguage="de",
            Metadata={"owner": "me"},
            ACL="public-read",
        )
        yield server


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azure")) as server:
        box = server.client.create_container("box")
        box.upload_blob("file", CONTENT)
        box.upload_blob("folder/", b"")
        box.upload_blob("folder", b"a file")
        box.upload_blob("folder/x", b"x")
        box.upload_blob("marked", b"", metadata={"hdi_isfolder": "true"})
        box.upload_blob("marked/x", b"x")
        box.upload_blob("full/", b"full")
        box.upload_blob("cold", b"cold", standard_blob_tier=StandardBlobTier.ARCHIVE)
        settings = ContentSettings(
            cache_control="max-age=60",
            content_disposition='inline; filename="a b.txt"',
            content_encoding="gzip",
            content_language="de",
        )
        box.upload_blob("rich", b"packed", metadata={"Owner": "me"}, content_settings=settings)
        yield server


def azure_settings(folder: Path, credentials: dict[str, str], **more: object) -> Settings:
    account = {"key_id": "id", "application_key": "secret"}
    secrets = folder / "azure.json"
    secrets.write_text(json.dumps({**account, "stores": {"azure://": credentials}}))
    secrets.chmod(0o600)
    return Settings(secrets_file=secrets, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def through(server: StoreServer, folder: Path) -> Iterator[tuple[Proxy, Settings]]:
    """A proxy before *server*, and settings that lead through it."""
    with proxy(("127.0.0.1", urlsplit(server.endpoint).port or 0)) as between:
        yield between, StoreServer(f"http://127.0.0.1:{between.port}", folder).settings()


def content(source: Source, offset: int = 0) -> bytes:
    with source.open(offset) as stream:
        return b"".join(iter(lambda: stream.read(10_000), b""))


def until_cut(source: Source) -> tuple[bytes, JobError]:
    got = b""
    try:
        with source.open() as stream:
            while piece := stream.read(1000):
                got += piece
    except JobError as error:
        return got, error
    raise AssertionError("nothing was cut")


def code(uri: str, settings: Settings) -> str:
    with pytest.raises(JobError) as caught:
        content(open_source(uri, settings))
    return caught.value.code


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_body_that_ends_early_is_gone_on_with(
    running: StoreServer, tmp_path: Path, scheme: str, how: str
) -> None:
    """A clean FIN by a load balancer was `source_changed`: all began at zero."""
    with through(running, tmp_path) as (between, settings):
        between.cut, between.cuts, between.how = 500_000, 1, how  # type: ignore[assignment]
        source = open_source(f"{scheme}://box/file", settings)
        got, error = until_cut(source)
        assert (error.code, error.act) == ("source_interrupted", "nobody")
        assert got + content(source, len(got)) == CONTENT


def test_an_azure_body_that_ends_early_is_read_on(azure: Azurite, tmp_path: Path) -> None:
    with proxy(("127.0.0.1", azure.port)) as between:
        credentials = azure.credentials(
            endpoint=f"http://127.0.0.1:{between.port}/devstoreaccount1"
        )
        between.cut, between.cuts = 500_000, 1
        source = open_source("azure://box/file", azure_settings(tmp_path, credentials))
        assert content(source) == CONTENT


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_an_object_costs_one_request(running: StoreServer, tmp_path: Path, scheme: str) -> None:
    with through(running, tmp_path) as (between, settings):
        source = open_source(f"{scheme}://box/file", settings)
        assert content(source) == CONTENT
        check_unchanged(source)
        source.close()
        assert between.requests == ["GET /box/file"]


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_going_on_reads_no_more_than_is_missing(
    running: StoreServer, tmp_path: Path, scheme: str
) -> None:
    """A whole GET was begun first and dropped: 4 to 5 MB for each resume."""
    with through(running, tmp_path) as (between, settings):
        source = open_source(f"{scheme}://box/file", settings, resuming=True)
        assert content(source, 900_000) == CONTENT[900_000:]
        source.close()
        assert between.requests == ["HEAD /box/file", "GET /box/file"]
        assert between.passed < 150_000


def test_an_azure_blob_costs_one_request(azure: Azurite, tmp_path: Path) -> None:
    with proxy(("127.0.0.1", azure.port)) as between:
        credentials = azure.credentials(
            endpoint=f"http://127.0.0.1:{between.port}/devstoreaccount1"
        )
        settings = azure_settings(tmp_path, credentials)
        source = open_source("azure://box/file", settings)
        assert content(source) == CONTENT
        check_unchanged(source)
        assert [line.partition(" ")[0] for line in between.requests] == ["GET"]
        between.passed = 0
        again = open_source("azure://box/file", settings, resuming=True)
        assert content(again, 900_000) == CONTENT[900_000:]
        assert between.passed < 150_000


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_what_a_store_says_of_an_object_is_carried(running: StoreServer, scheme: str) -> None:
    source = open_source(f"{scheme}://box/rich", running.settings())
    assert is_remote(source)
    assert source.carried.info == {
        "b2-cache-control": "max-age=60",
        "b2-content-disposition": 'inline; filename="a b.txt"',
        "b2-content-encoding": "gzip",
        "b2-content-language": "de",
        "owner": "me",
    }
    assert content(source) == b"packed"  # as it was stored


def test_what_azure_says_of_a_blob_is_carried(azure: Azurite, tmp_path: Path) -> None:
    source = open_source("azure://box/rich", azure_settings(tmp_path, azure.credentials()))
    assert is_remote(source)
    assert source.carried.info == {
        "b2-cache-control": "max-age=60",
        "b2-content-disposition": 'inline; filename="a b.txt"',
        "b2-content-encoding": "gzip",
        "b2-content-language": "de",
        "owner": "me",
    }
    assert content(source) == b"packed"


def test_placeholders_of_azure_are_passed_over(azure: Azurite, tmp_path: Path) -> None:
    found: list[Problem] = []
    settings = azure_settings(tmp_path, azure.credentials())
    names = [each.name for each in list_root(parse("azure://box"), settings, report=found.append)]
    assert names == ["cold", "file", "folder", "folder/x", "marked/x", "rich"]
    assert [(each.name, each.code) for each in found] == [("full/", "source_name_unsupported")]
    assert content(open_source("azure://box/folder", settings)) == b"a file"
    assert content(open_source("azure://box/full/", settings)) == b"full"
    for folder in ("folder/", "marked"):
        assert code(f"azure://box/{folder}", settings) == "source_is_directory"


def test_what_azure_refuses_has_its_code_at_once(azure: Azurite, tmp_path: Path) -> None:
    """A listing of a container that is not there, or with a wrong key, waited for 24 hours."""
    settings = azure_settings(tmp_path, azure.credentials())
    assert code("azure://box/none", settings) == "source_missing"
    assert code("azure://nobox/none", settings) == "source_missing"
    assert code("azure://box/cold", settings) == "source_archived"
    with pytest.raises(JobError) as caught:
        list(list_root(parse("azure://nobox"), settings, report=print))
    assert (caught.value.code, caught.value.wait) == ("source_missing", None)
    assert "nobox" in caught.value.message
    wrong = azure_settings(tmp_path, azure.credentials(account_key=KEY[:-4] + "AA=="))
    assert code("azure://box/file", wrong) == "source_forbidden"
    with pytest.raises(JobError) as caught:
        list(list_root(parse("azure://box"), wrong, report=print))
    assert (caught.value.code, caught.value.wait) == ("source_forbidden", None)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_listing_of_what_is_not_there_ends_at_once(running: StoreServer, scheme: str) -> None:
    with pytest.raises(JobError) as caught:
        list(list_root(parse(f"{scheme}://nosuchbucket"), running.settings(), report=print))
    assert (caught.value.code, caught.value.wait) == ("source_missing", None)
    assert "nosuchbucket" in caught.value.message


@pytest.mark.parametrize("scheme", ["s3", "gs", "azure"])
def test_a_certificate_that_nobody_vouches_for_ends_at_once(
    running: StoreServer, tmp_path: Path, scheme: str
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    port = urlsplit(running.endpoint).port or 0
    with proxy(("127.0.0.1", port), context) as between:
        server = StoreServer(f"https://127.0.0.1:{between.port}", tmp_path)
        assert code(f"{scheme}://box/file", server.settings()) == "tls_untrusted"
        trusting = server.settings(ca_file=ca_file)
        if scheme != "azure":
            assert content(open_source(f"{scheme}://box/file", trusting)) == CONTENT
        else:  # the server behind it speaks S3 alone: its answer has come
            assert code("azure://box/file", trusting) != "tls_untrusted"


def test_a_proxy_that_throttles_is_waited_for(running: StoreServer, tmp_path: Path) -> None:
    with through(running, tmp_path) as (between, settings):
        between.pause = 0.01
        assert content(open_source("s3://box/file", settings)) == CONTENT


def test_two_stores_may_have_buckets_of_one_name(running: StoreServer, tmp_path: Path) -> None:
    with through(running, tmp_path) as (between, _):
        endpoint = f"http://127.0.0.1:{between.port}"
        key = {"access_key_id": "a", "secret_access_key": "b", "endpoint": endpoint}
        running.more_stores = {"s3://other@": key}
        try:
            settings = running.settings(there="s3://other@box")
        finally:
            running.more_stores = {}
        for uri in ("s3://box/file", "s3://other@box/file", "data://there/file"):
            assert content(open_source(uri, settings)) == CONTENT
        assert between.requests == ["GET /box/file"] * 2
        names = [each.name for each in list_root(parse("data://there"), settings, report=print)]
        assert "file" in names
        assert code("s3://unknown@box/file", settings) == "store_credentials_missing"


def test_a_signature_does_not_travel_with_an_error(tmp_path: Path) -> None:
    credentials = {
        "account_name": "name",
        "sas_token": "sv=1&sig=geheim",
        "endpoint": "http://127.0.0.1:1",
    }
    with pytest.raises(JobError) as caught:
        open_source("azure://box/key", azure_settings(tmp_path, credentials))
    error = caught.value
    assert (error.code, error.__cause__, error.__context__) == ("source_unreachable", None, None)
    assert "geheim" not in error.message + error.hint


class _Refusing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        status, code, more = self.server.answer  # type: ignore[attr-defined]
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>x</Message></Error>"
        self.send_response(status)
        for name, text in {"x-ms-error-code": code, **more}.items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.mark.parametrize(
    ("status", "said", "expected", "seconds"),
    [
        (503, "ServerBusy", "source_busy", 17),
        (500, "OperationTimedOut", "source_busy", 17),
        (500, "InternalError", "source_unavailable", 17),
        (400, "InvalidUri", "source_refused", None),
        (409, "AccountIsDisabled", "source_forbidden", None),
        (409, "BlobBeingRehydrated", "source_archived", None),
        (401, "InvalidAuthenticationInfo", "source_forbidden", None),
    ],
)
def test_permanent_is_permanent_and_retry_after_is_heeded(
    tmp_path: Path, status: int, said: str, expected: str, seconds: float | None
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        server.answer = (status, said, {"Retry-After": "17"})  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}/devstoreaccount1"
        key = {"account_name": "devstoreaccount1", "account_key": KEY, "endpoint": endpoint}
        settings = azure_settings(tmp_path, key)

        def listed() -> object:
            return list(list_root(parse("azure://box"), settings, report=print))

        for ask in (lambda: open_source("azure://box/file", settings), listed):
            with pytest.raises(JobError) as caught:
                ask()
            assert caught.value.code == expected
            wait = caught.value.wait
            assert (wait.seconds if wait else None) == seconds
        server.shutdown()


class _Tokens(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        status, body = self.server.answer  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"access_token": "a-token", "expires_in": 3600}, ""),
        (400, {"error": "invalid_grant", "error_description": "geheim"}, "source_forbidden"),
        (400, {"error": "invalid_grant", "error_description": "Check your iat and exp values"},
         "store_clock_wrong"),
    ],
)  # fmt: skip
def test_google_is_asked_with_a_token(
    running: StoreServer, tmp_path: Path, status: int, body: dict[str, object], expected: str
) -> None:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), _Tokens) as server,
        through(running, tmp_path) as way,
    ):
        server.answer = (status, body)  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        key = {
            "type": "service_account",
            "client_email": "me@project",
            "private_key": pem.decode(),
            "token_uri": f"http://127.0.0.1:{server.server_port}/token",
        }
        between, _ = way
        entry = {"service_account_key": json.dumps(key)}
        entry["endpoint"] = f"http://127.0.0.1:{between.port}"
        running.more_stores = {"gs://": entry}
        try:
            settings = running.settings()
        finally:
            running.more_stores = {}
        if expected:
            assert code("gs://box/file", settings) == expected
        else:
            between.heads.clear()
            assert content(open_source("gs://box/file", settings)) == CONTENT
            assert "Authorization: Bearer a-token" in between.heads[0]
        server.shutdown()
