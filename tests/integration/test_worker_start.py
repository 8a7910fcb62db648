"""A worker's start: what it says at once, when it does not start, when it gives up."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from b2jobs.errors import JobFailed
from b2jobs_worker.start.redis_use import of_kind
from support import processes
from support.emulator import LocalB2
from support.installation import Installation
from support.processes import children
from support.redis_server import RedisServer
from support.waiting import eventually, free_port

Make = Callable[..., Installation]
MakeRedis = Callable[..., RedisServer]


def run(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return processes.run(sys.executable, "-m", "b2jobs", *words, env=env)


def check(installation: Installation, **env: str) -> tuple[int, dict[str, str]]:
    """The status of `b2jobs worker --check --json`, and the level of each code it said."""
    done = run(installation.env(**env), "worker", "--check", "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(each["message"].endswith((".", "?")) and each["hint"] for each in said), said
    assert "Traceback" not in done.stderr
    return done.returncode, {each["code"]: each["level"] for each in said}


def test_nothing_is_wrong(
    make_redis: MakeRedis, make_installation: Make, local_b2: LocalB2
) -> None:
    well = make_installation(make_redis(appendonly=True).url, account=local_b2.account)
    assert check(well) == (0, {})
    plain = run(well.env(), "worker", "--check")
    assert (plain.returncode, plain.stdout) == (
        0,
        "Nothing is wrong: a worker can start and do its jobs.\n",
    )


def test_what_heals_is_a_warning(
    make_redis: MakeRedis, make_installation: Make, local_b2: LocalB2
) -> None:
    redis = make_redis(appendonly=True)
    wrong = {**local_b2.account, "application_key": "K004wrong"}
    away = {**local_b2.account, "realm": f"http://127.0.0.1:{free_port()}"}
    accounts = {"accounts": {"default": local_b2.account, "wrong": wrong, "away": away}}
    installation = make_installation(redis.url, account=accounts)
    installation.data.rmdir()

    assert check(installation) == (
        1,
        {
            "root_missing": "warning",
            "credentials_invalid": "warning",
            "connection_broken": "warning",
        },
    )
    installation.secrets.unlink()
    assert check(installation) == (
        1,
        {"root_missing": "warning", "credentials_missing": "warning"},
    )
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    status, said = check(installation, B2JOBS_REDIS_URL=nobody)
    assert (status, said["queue_unavailable"]) == (1, "warning")


@pytest.fixture
def denying() -> Iterator[int]:
    """A port that answers as a Redis in protected mode answers another host."""

    class Deny(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"-DENIED Redis is running in protected mode.\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Deny) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("info", "codes"),
    [
        ({"redis_version": "6.2.14"}, ["redis_too_old"]),
        ({"redis_version": "5"}, ["redis_too_old"]),
        ({"redis_version": "7.0.0", "cluster_enabled": 0}, []),
        ({"redis_version": "7.2.4", "valkey_version": "8.1", "cluster_enabled": 1},
         ["redis_is_cluster"]),
        ({}, []),
    ],
)  # fmt: skip
def test_a_redis_that_is_too_old_or_of_another_kind(
    info: dict[str, object], codes: list[str]
) -> None:
    class Told:
        def info(self) -> dict[str, object]:
            return info

    found = list(of_kind(cast("Redis", Told()), "redis://host"))
    assert [each.code for each in found] == codes
    assert not any(each.heals for each in found)


def test_a_redis_it_may_not_use(
    make_redis: MakeRedis, make_installation: Make, denying: int
) -> None:
    cluster = make_redis(cluster_enabled="yes", cluster_port=str(free_port()))
    plain = make_redis()
    plain.set("requirepass", "s3cr3t-word")
    installation = make_installation(plain.url.replace("://", "://:s3cr3t-word@"))
    place = plain.url.removeprefix("redis://").removesuffix("/0")
    admin = installation.redis
    admin.execute_command("ACL", "SETUSER", "reader", "on", ">x", "~*", "+@read", "+ping")
    admin.execute_command("ACL", "SETUSER", "other", "on", ">x", "~other:*", "+@all")
    for url, code in (
        (f"redis://{place}/0", "redis_refused"),
        (f"redis://:wrong@{place}/0", "redis_refused"),
        (f"redis://nobody:x@{place}/0", "redis_refused"),
        (f"redis://reader:x@{place}/0", "redis_refused"),
        (f"redis://other:x@{place}/0", "redis_refused"),
        (f"redis://:s3cr3t-word@{place}/99", "invalid_redis_url"),
        (f"redis://127.0.0.1:{denying}/0", "redis_refused"),
        (cluster.url, "redis_is_cluster"),
    ):
        status, said = check(installation, B2JOBS_REDIS_URL=url)
        assert (status, said.get(code)) == (2, "error"), (url, said)
        worker = installation.start_worker(B2JOBS_REDIS_URL=url)
        assert worker.wait(30) == 2
    assert "s3cr3t-word" not in installation.workers[0].output()


def test_a_replica_and_a_user_without_dangerous_commands_are_no_reason_to_stop(
    make_redis: MakeRedis, make_installation: Make
) -> None:
    primary = make_redis()
    replica = make_redis(replicaof=f"127.0.0.1 {primary.port}")
    eventually(lambda: replica.client().info("replication")["role"] == "slave")
    installation = make_installation(primary.url)
    status, said = check(installation, B2JOBS_REDIS_URL=replica.url)
    assert (status, said["redis_read_only"]) == (1, "warning")

    rights = "on >x ~mine:* &mine:* +@all -@admin -@dangerous"
    primary.client().execute_command("ACL", "SETUSER", "mine", *rights.split())
    url = f"redis://mine:x@127.0.0.1:{primary.port}/0"
    status, said = check(installation, B2JOBS_REDIS_URL=url, B2JOBS_KEY_PREFIX="mine:")
    assert (status, set(said)) == (1, {"credentials_missing"})


def test_a_mistyped_variable_ends_it_before_it_begins(installation: Installation) -> None:
    assert check(installation, B2JOBS_SLOT="3") == (2, {"config_invalid": "error"})
    worker = installation.start_worker(B2JOBS_SLOT="3")
    assert worker.wait(30) == 2
    assert "did you mean B2JOBS_SLOTS?" in worker.output()


def test_a_refused_key_is_said_while_it_starts(
    make_installation: Make, redis_url: str, local_b2: LocalB2
) -> None:
    wrong = {**local_b2.account, "application_key": "K004wrong"}
    installation = make_installation(redis_url, account=wrong)
    worker = installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    eventually(
        lambda: "Account 'default': B2 refuses the account's key" in worker.output(),
        timeout=60,
        what=worker.output,
    )
    assert "K004wrong" not in worker.output()
    assert worker.stop() == 0


def broken_celery(folder: Path) -> str:
    """A PYTHONPATH with which every process of a worker dies while it starts."""
    package = folder / "broken" / "celery"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('broken on purpose')\n")
    return str(package.parent)


def test_processes_that_die_while_starting_end_the_worker(
    installation: Installation, tmp_path: Path
) -> None:
    """The parent started them again for ever, and systemd and Docker saw a worker that runs."""
    path = broken_celery(tmp_path)
    worker = installation.start_worker(PYTHONPATH=path, B2JOBS_PROCESSES="2")
    assert worker.wait(90) == 1
    assert "4 times in a row; giving up" in worker.output()
    assert "broken on purpose" in worker.output()
    assert children(worker.pid) == []


def test_a_death_later_is_made_good(installation: Installation) -> None:
    worker = installation.start(
        *(sys.executable, "-m", "b2jobs_worker", "--start-tries", "1"),
        name="worker",
        B2JOBS_PROCESSES="1",
        B2JOBS_RESERVED_SLOTS="0",
    )
    for started in (1, 2):
        eventually(
            lambda started=started: worker.output().count(" ready.") == started,
            timeout=100,
            what=worker.output,
        )
        for pid in children(worker.pid):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: worker.output().count(" ready.") == 3, timeout=100, what=worker.output)
    assert worker.stop() == 0


def test_a_worker_that_is_stopped_while_it_starts_has_not_failed(
    installation: Installation,
) -> None:
    """A process that knew no signals yet made the worker end with 15, and systemd saw a failure."""
    few = {"B2JOBS_PROCESSES": "1", "B2JOBS_RESERVED_SLOTS": "0"}
    workers = [installation.start_worker(f"w{i}", **few) for i in range(6)]
    deaths = Counter[bool]()
    for number, worker in enumerate(workers):  # each at another moment of its start
        eventually(lambda worker=worker: children(worker.pid), timeout=60, what=worker.output)
        time.sleep(0.05 * number)
        deaths[" ready." not in worker.output()] += 1
        worker.signal(signal.SIGTERM)
    assert [worker.wait(60) for worker in workers] == [0] * len(workers)
    assert deaths[True] >= 2
    assert not installation.redis.zrange(f"{installation.key_prefix}b2jobs:running", 0, -1)


def test_a_job_that_kills_processes_does_not_end_the_worker(installation: Installation) -> None:
    """A process that has taken jobs has started, however soon one of them kills it."""
    worker = installation.start(
        *(sys.executable, "-m", "b2jobs_worker", "--start-tries", "1"),
        name="worker",
        B2JOBS_PROCESSES="1",
        B2JOBS_RESERVED_SLOTS="0",
        PYTHONPATH=f"{deadly_uploads(installation.folder)}:{installation.env()['PYTHONPATH']}",
    )
    poison = installation.client.upload("data:,x", "b2://some-bucket/x")

    with pytest.raises(JobFailed, match="worker_lost"):
        poison.wait(240)

    assert worker.output().count("starting it again") == 2
    assert worker.status is None
    assert worker.stop() == 0


def deadly_uploads(folder: Path) -> Path:
    """A PYTHONPATH with which every upload kills its process."""
    package = folder / "deadly"
    package.mkdir()
    (package / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'b2jobs_worker' in ' '.join(sys.orig_argv):\n"
        "    from b2jobs_worker import transfer\n"
        "    transfer.RUN['upload'] = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    return package


@pytest.mark.parametrize("command", ["demo", "up"])
def test_the_local_stack_ends_at_the_first_death_with_the_last_words(
    command: str, installation: Installation, tmp_path: Path
) -> None:
    """It took 61 s to say that the worker's first import had failed."""
    env = installation.env(PYTHONPATH=broken_celery(tmp_path))
    for name in ("B2JOBS_SECRETS_FILE", "B2JOBS_CONFIG", "B2JOBS_KEY_PREFIX"):
        env.pop(name)
    began = time.monotonic()
    done = run(env, command)
    assert done.returncode == 1
    assert "broken on purpose" in done.stderr
    assert "[stack_failed]" in done.stderr
    assert time.monotonic() - began < 30


def test_a_worker_logs_json_alone_and_says_each_end_once(
    make_installation: Callable[..., Installation], local_b2: LocalB2
) -> None:
    """Five banners and lines of five formats, from processes all called MainProcess."""
    installation = make_installation(account=local_b2.account)
    worker = installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_LOG_FORMAT="json")
    job = installation.client.check()
    job.wait(120)
    eventually(lambda: '"state": "succeeded"' in worker.output())
    worker.stop()
    lines = [json.loads(line) for line in worker.output().splitlines()]
    [end] = [line for line in lines if line.get("job") == job.id]
    assert (end["kind"], end["state"], end["process"]) == ("check", "succeeded", "w1")
    assert {"parent", "w1"} <= {line["process"] for line in lines}
