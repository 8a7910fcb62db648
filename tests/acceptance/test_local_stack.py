"""`b2jobs demo` and `b2jobs up`: they work, and leave nothing behind, however they end."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import b2jobs
from acceptance.conftest import COMMAND, Ran, run
from b2jobs.locations import parse
from support.emulator import LocalB2
from support.processes import Process
from support.redis_server import RedisServer
from support.waiting import eventually

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="looks for left processes in /proc"
)


class Place:
    """An environment whose processes and temporary files can be told from all others."""

    def __init__(self, folder: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("B2JOBS")},
            "TMPDIR": str(self.temporary),
            "B2JOBS_TEST_MARK": self.mark,
        }

    def processes(self) -> list[str]:
        """The command lines of all that carry our mark."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if f"B2JOBS_TEST_MARK={self.mark}".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return [line for line in found if line]

    def is_clean(self) -> bool:
        return not self.processes() and not list(self.temporary.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    eventually(place.is_clean, what=lambda: (place.processes(), list(place.temporary.iterdir())))


def demo(place: Place, *arguments: str, **env: str) -> Ran:
    return run(("demo", *arguments), {**place.env, **env}, timeout=110, cold=True)


def start_up(place: Place, folder: Path, *arguments: str) -> tuple[Process, dict[str, str]]:
    """A running `b2jobs up` and what it says of itself."""
    up = Process(
        [*COMMAND, "up", "--json", *arguments], log=folder / "up.log", env=place.env, cold=True
    )

    def announced() -> dict[str, str] | None:
        assert up.status is None, up.output()
        return json.loads(up.output()) if up.output().endswith("\n") else None

    return up, eventually(announced, timeout=90)


def test_the_demo_shows_a_job_from_end_to_end(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "holiday photo.png"
    file.write_bytes(os.urandom(3_000_000))
    sha1 = hashlib.sha1(file.read_bytes()).hexdigest()

    done = demo(place, str(file))

    assert done.status == 0, done.err
    (result,) = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
    assert result["sha1"] == sha1
    assert result["uri"] == "b2://some-bucket/remotefolder/remotefile.png"
    assert f"fetch     {result['url']}: 200, the same 3000000 bytes" in done.out
    assert "-> data://.my/somecollection/somefile-again.png: the same 3000000 bytes" in done.out
    assert hashlib.sha1(file.read_bytes()).hexdigest() == sha1
    assert place.is_clean()


def test_the_demo_on_a_real_redis_and_account_removes_what_it_made(
    place: Place, make_redis: Callable[..., RedisServer], own_b2: LocalB2, tmp_path: Path
) -> None:
    redis = make_redis()
    redis.client().set("somebody-elses", "1")
    secrets = tmp_path / "account.json"
    secrets.touch(0o600)
    secrets.write_text(json.dumps(own_b2.account))

    done = demo(
        place,
        "--bucket",
        "my-very-own-bucket",
        B2JOBS_REDIS_URL=redis.url,
        B2JOBS_SECRETS_FILE=str(secrets),
    )

    assert done.status == 0, done.err
    assert "bucket    my-very-own-bucket: created" in done.out
    assert "200, the same" in done.out
    assert redis.client().keys("*") == ["somebody-elses"]
    with urllib.request.urlopen(own_b2.realm, timeout=10) as page:
        assert b"my-very-own-bucket" not in page.read()


def test_the_demo_of_a_job_that_fails_is_1(place: Place, tmp_path: Path) -> None:
    done = demo(place, "--bucket", "b2-reserved")

    assert done.status == 2
    assert "[bucket_name_refused]" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_interrupted_leaves_nothing(
    place: Place, tmp_path: Path, number: signal.Signals
) -> None:
    process = Process([*COMMAND, "demo"], log=tmp_path / "demo.log", env=place.env, cold=True)
    eventually(lambda: any("b2emulator" in line for line in place.processes()))
    process.signal(number)

    assert process.wait(60) == 130
    assert "Traceback" not in process.output()
    assert place.is_clean()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_ends_with_all_it_started(place: Place, tmp_path: Path, number: signal.Signals) -> None:
    up, facts = start_up(place, tmp_path)
    (Path(facts["root"]) / "hello.txt").write_text("hello")
    client = b2jobs.Client(facts["redis_url"])
    client.bucket("create", "some-bucket", type="public").wait(60)
    result = client.upload("data://.my/hello.txt", "b2://some-bucket/hello.txt").wait(60)
    with urllib.request.urlopen(result.url, timeout=10) as answer:
        assert answer.read() == b"hello"
    assert Path(facts["secrets_file"]).stat().st_mode & 0o777 == 0o600

    up.signal(number)

    assert up.wait(60) == 0
    assert place.is_clean()


def test_up_killed_takes_all_with_it(place: Place, tmp_path: Path) -> None:
    up, _ = start_up(place, tmp_path)
    assert len(place.processes()) > 5

    up.kill()

    eventually(place.is_clean, timeout=60, what=place.processes)


def test_up_ends_when_a_part_of_it_dies(place: Place, tmp_path: Path) -> None:
    up, facts = start_up(place, tmp_path)
    b2jobs.Client(facts["redis_url"]).records.redis.shutdown(nosave=True)

    assert up.wait(60) == 1
    assert "Redis ended with status" in up.output()
    assert "[stack_failed]" in up.output()


def test_what_up_is_told_to_keep_is_there_the_next_time(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    up, before = start_up(place, tmp_path, "--data", str(folder))
    client = b2jobs.Client(before["redis_url"])
    client.bucket("create", "some-bucket", type="public").wait(60)
    job = client.upload("data:,hello", "b2://some-bucket/hello.txt")
    url = job.wait(60).url

    second = run(("up", "--data", str(folder)), place.env)
    up.signal(signal.SIGTERM)
    up.wait(60)
    (tmp_path / "up.log").unlink()
    up, after = start_up(place, tmp_path, "--data", str(folder))

    assert second.status == 1
    assert "[state_in_use]" in second.err
    assert after == before
    assert b2jobs.Client(after["redis_url"]).job(job.id).state() == "succeeded"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"hello"
    up.stop()


def test_the_lines_up_prints_for_a_second_shell_work(place: Place, tmp_path: Path) -> None:
    up = Process([*COMMAND, "up"], log=tmp_path / "up.log", env=place.env, cold=True)
    eventually(lambda: up.status is not None or "job list" in up.output(), timeout=90)
    said = [line.strip() for line in up.output().splitlines() if line.startswith("  ")]
    commands = [line for line in said if line.startswith(("export ", "cp ", "b2jobs "))]
    assert [parse(word) for word in up.output().split() if word.startswith("b2://")]
    (tmp_path / "FILE").write_text("hello")
    script = "set -e\n" + "\n".join(
        line.replace("b2jobs ", f"{sys.executable} -m b2jobs ", 1)
        if line.startswith("b2jobs ")
        else line
        for line in commands
    )

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=place.env,
        capture_output=True,
        text=True,
        check=False,
    )
    up.stop()

    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stdout
