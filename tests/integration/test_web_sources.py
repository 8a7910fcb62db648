"""Https sources on a real worker: what opens them stays unseen, and none of them holds a slot."""

from __future__ import annotations

import contextlib
import gzip
import json
import ssl
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2jobs.errors import JobCancelled, JobFailed
from b2jobs.results import TransferResult
from contract.sources.webserver import WebServer, web_server
from support.emulator import LocalB2
from support.installation import Installation
from support.processes import Process
from support.raw_web import RawWeb, raw_web
from support.waiting import eventually, free_port

SECRET = "geheim"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("web")) as server:
        server.content = bytes(range(256)) * 10
        yield server


@pytest.fixture(scope="module")
def installed(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, local_b2: LocalB2, web: WebServer
) -> Iterator[Installation]:
    away = {"access_key_id": "a", "secret_access_key": "b"}
    away["endpoint"] = f"http://127.0.0.1:{free_port()}"
    account = {**local_b2.account, "stores": {"s3://": away}}
    folder = tmp_path_factory.mktemp("installed")
    installation = Installation(folder, redis_url, account=account)
    installation.start_worker(
        B2JOBS_PROCESSES="1", B2JOBS_SLOTS="4", B2JOBS_RESERVED_SLOTS="0",
        B2JOBS_QUEUES="normal,low", B2JOBS_PRIVATE_HOSTS="localhost",
        B2JOBS_CA_FILE=str(web.ca_file),
    )  # fmt: skip
    yield installation
    installation.close()


@pytest.fixture(scope="module")
def bucket(installed: Installation) -> str:
    name = f"web-{uuid.uuid4().hex[:12]}"
    installed.client.bucket("create", name).wait(timeout=60)
    return name


@pytest.fixture(autouse=True)
def _behaved(web: WebServer) -> None:
    web.status, web.headers, web.chunked = 200, {}, False


def signed(web: WebServer, name: str = "file") -> str:
    return f"{web.url(f'/{name}')}?X-Signature={SECRET}"


def printed(installed: Installation, *command: str) -> str:
    b2jobs = [sys.executable, "-m", "b2jobs"]
    process = installed.start(*b2jobs, *command, name=f"cli-{time.monotonic_ns()}")
    process.wait()
    return process.output()


def test_a_signed_url_is_seen_by_its_server_alone(
    installed: Installation, web: WebServer, bucket: str
) -> None:
    web.headers = {"Cache-Control": "max-age=60", "Content-Disposition": "a; b*=UTF-8''c"}
    job = installed.client.upload(signed(web), f"b2://{bucket}/file")
    result = job.wait(timeout=60)
    assert isinstance(result, TransferResult)
    assert (result.verified, result.not_carried) == (True, ["content-disposition"])
    assert web.asked[-1]["path"].endswith(SECRET)
    for command in (["job", "show", job.id], ["job", "show", job.id, "--json"], ["job", "list"]):
        said = printed(installed, *command)
        assert web.url("/file") in said
        assert SECRET not in said
    assert job.record().request["source"] == signed(web)


def test_what_a_job_waits_for_is_shown(
    installed: Installation, web: WebServer, bucket: str
) -> None:
    web.status, web.headers = 503, {"Retry-After": "100"}
    job = installed.client.upload(signed(web), f"b2://{bucket}/waits", retry=3600)
    eventually(lambda: job.record().state == "waiting", timeout=60)
    shown = json.loads(printed(installed, "job", "show", job.id, "--json"))
    assert (shown["state"], shown["reason"]) == ("waiting", "backoff")
    assert shown["failure"]["code"] == "source_unavailable"
    assert "503" in shown["failure"]["message"]
    assert SECRET not in json.dumps(shown)
    job.cancel()
    batch = installed.client.batch("s3://nowhere/prefix/", f"b2://{bucket}/waits/")
    eventually(lambda: batch.status().failure, timeout=60)
    status = json.loads(printed(installed, "batch", "show", batch.id, "--json"))
    assert status["state"] == "waiting"
    assert status["failure"]["code"] == "source_unreachable"
    assert "source_unreachable" in printed(installed, "batch", "show", batch.id)
    batch.cancel()


def test_a_wait_beyond_the_time_for_retries_says_why_the_job_ended(
    installed: Installation, web: WebServer, bucket: str
) -> None:
    web.status, web.headers = 429, {"Retry-After": "7200"}
    job = installed.client.upload(signed(web), f"b2://{bucket}/never", retry=60)
    with pytest.raises(JobFailed) as caught:
        job.wait(timeout=60)
    assert caught.value.code == "source_busy"
    assert "time for that, 60 s (retry)" in caught.value.hint


def test_reports_and_spilled_ledgers_show_no_signature(
    installed: Installation, web: WebServer, bucket: str
) -> None:
    web.status = 403
    rows = [
        {"source": signed(web, f"f{at}"), "destination": f"b2://{bucket}/l/{at}"} for at in (1, 2)
    ]
    batch = installed.client.batch_items(rows, ledger="data://.my/ledger/")
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    assert batch.status().codes == {"source_forbidden": 2}

    def seen() -> str:
        spilled = [gzip.decompress(path.read_bytes()).decode() for path in files()]
        return "".join([*batch.report(), *spilled, printed(installed, "batch", "show", batch.id)])

    def files() -> list[Path]:
        return [path for path in (installed.data / "ledger").rglob("*") if path.is_file()]

    assert web.url("/f1") in seen()
    assert SECRET not in seen()
    web.status = 200
    batch.retry()
    assert batch.wait(timeout=60).outcomes == {"transferred": 2}
    assert sorted(line["item"] for line in batch.lines()) == [0, 1]
    assert SECRET not in seen()
    key = f"{installed.key_prefix}b2jobs:batch:{batch.id}:ledger"
    assert installed.redis.hlen(key) == 0


def test_a_body_without_a_length_is_not_called_verified(
    installed: Installation, web: WebServer, bucket: str, tmp_path: Path
) -> None:
    def answer(_: str, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
        connection.unwrap()

    with raw_web(tmp_path, answer) as raw, trusting(installed, raw):
        job = installed.client.upload(raw.url(), f"b2://{bucket}/endless", priority="high")
        result = job.wait(timeout=60)
    assert isinstance(result, TransferResult)
    assert (result.size, result.verified) == (5, False)


def test_a_drip_is_left_when_it_is_cancelled_or_the_worker_ends(
    installed: Installation, bucket: str, tmp_path: Path
) -> None:
    """Cancel took 45 s, and SIGTERM did not end the worker in 40."""
    with raw_web(tmp_path, lambda *_: None) as raw, trusting(installed, raw) as worker:
        raw.answer = lambda _, connection: raw.drip(connection, b"HTTP/1.1 200 OK\r\n" * 500, 0.05)
        jobs = [
            installed.client.upload(raw.url(), f"b2://{bucket}/drip{at}", priority="high")
            for at in (1, 2)
        ]
        eventually(lambda: len(raw.heads) >= 2, timeout=60)
        began = time.monotonic()
        jobs[0].cancel()
        with pytest.raises(JobCancelled):
            jobs[0].wait(timeout=60)
        assert time.monotonic() - began < 15
        began = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - began < 15
        assert not jobs[1].record().has_ended
        jobs[1].cancel()


@contextlib.contextmanager
def trusting(installed: Installation, raw: RawWeb) -> Iterator[Process]:
    """One more worker, for urgent jobs, that trusts *raw*."""
    worker = installed.start_worker(
        f"raw{raw.port}", B2JOBS_PROCESSES="1", B2JOBS_SLOTS="4", B2JOBS_RESERVED_SLOTS="0",
        B2JOBS_QUEUES="high", B2JOBS_PRIVATE_HOSTS="localhost", B2JOBS_CA_FILE=str(raw.ca_file),
    )  # fmt: skip
    yield worker
    if worker.status is None:
        worker.stop()
