"""b2jobs from its wheel and its sdist, in empty environments: each extra does its job.

What is in `.venv` is not what somebody else has. Here every environment has one extra and nothing
else, and they meet as they would in production: at a Redis, over HTTP. `make installs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.sources.storeserver import store_server
from installs.environments import PACKAGES, Environment, build, clean, extras, run
from support.console import Browser
from support.installation import Installation
from support.processes import Process, kill_tree
from support.waiting import eventually

Make = Callable[..., Environment]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    wheel, sdist = build(tmp_path_factory.mktemp("dist"))
    return {"wheel": wheel, "sdist": sdist}


@pytest.fixture(scope="session")
def environment(artifacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes the environment of an extra, once for all tests."""
    made: dict[tuple[str, str], Environment] = {}

    def make(extra: str, artifact: str = "wheel") -> Environment:
        if (extra, artifact) not in made:
            folder = tmp_path_factory.mktemp("environment")
            made[extra, artifact] = Environment(folder, artifacts[artifact], extra)
        return made[extra, artifact]

    return make


@pytest.fixture(scope="session")
def account(
    environment: Make, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A B2 that the environment of `emulator` runs; what a secrets file says about it."""
    folder = tmp_path_factory.mktemp("b2")
    command = (
        environment("emulator").command,
        "emulator",
        "--port",
        "0",
        "--data",
        folder / "data",
    )
    process = Process(command, log=folder / "log", env=clean(), cwd=folder)

    def announced() -> dict[str, str] | None:
        assert process.status is None, process.output()
        lines = [line for line in process.output().splitlines() if line.startswith("{")]
        return json.loads(lines[0]) if lines else None

    ready = eventually(announced, what=process.output)
    yield {name: ready[name] for name in ("key_id", "application_key", "realm")}
    assert process.stop() == 0


class Client:
    """The environment without any extra, as an application has it."""

    def __init__(self, environment: Environment, installation: Installation) -> None:
        self._environment = environment
        self.variables = {
            "B2JOBS_REDIS_URL": installation.redis_url,
            "B2JOBS_KEY_PREFIX": installation.key_prefix,
        }

    def says(self, *words: str) -> str:
        return run(self._environment.command, *words, env=self.variables)

    def python(self, code: str) -> str:
        return run(self._environment.python, "-c", code, env=self.variables)


@pytest.fixture
def client(environment: Make, installation: Installation) -> Client:
    return Client(environment(""), installation)


def start_worker(environment: Environment, installation: Installation) -> Process:
    return installation.start(
        *(str(environment.command), "worker"),
        name="worker",
        PYTHONPATH="",
        B2JOBS_PROCESSES="1",
        B2JOBS_RESERVED_SLOTS="0",
    )


def test_every_extra_is_tried() -> None:
    assert {name for extra in PACKAGES for name in extra.split(",")} == {"", *extras()}


@pytest.mark.parametrize("extra", list(PACKAGES))
def test_it_is_complete(environment: Make, extra: str) -> None:
    """Nothing declared is missing, and every module of ours can be imported."""
    tried = environment(extra)

    tried.check()
    missing = tried.not_importable()
    libraries = {"boto3", "botocore", "azure", "azure.core", "google", "google.auth"}
    without_stores = libraries if "stores" not in extra else set()
    assert {
        module: name
        for module, name in missing.items()
        if name not in without_stores or not module.startswith("b2jobs_worker.sources.")
    } == {}


def test_the_sdist_installs_what_the_wheel_does(environment: Make) -> None:
    """The same files, and the same said of every extra: whoever asks for one gets the same."""
    sdist, wheel = environment("", "sdist"), environment("")

    sdist.check()
    assert sdist.installed() == wheel.installed()
    assert len(wheel.ours()) > 200
    assert all(f"Provides-Extra: {extra}\n" in wheel.metadata() for extra in extras())
    assert sdist.metadata() == wheel.metadata()


def test_a_client_submits_without_a_worker(client: Client) -> None:
    submit = "b2jobs.upload('data://.my/file.bin', 'b2://installs/file.bin')"
    assert client.python(f"import b2jobs; print({submit}.state())").strip() == "queued"
    assert "queued" in client.says("job", "list")


@pytest.mark.parametrize("extra", ["worker", "worker,stores"])
def test_a_worker_answers_a_client(
    environment: Make,
    extra: str,
    installation: Installation,
    client: Client,
    account: dict[str, str],
    tmp_path: Path,
) -> None:
    bucket = f"installs-{extra.replace(',', '-')}"
    there = f"b2://{bucket}/file.bin"
    (installation.data / "file.bin").write_bytes(b"0123456789" * 1000)
    with store_server(tmp_path) as store:
        store.fill("legacy", {"archive/x": b"from s3"})
        place = {
            "access_key_id": "id",
            "secret_access_key": "secret",
            "region": "us-east-1",
            "endpoint": store.endpoint,
        }
        installation.write_secrets({**account, "stores": {"s3://legacy": place}})
        worker = start_worker(environment(extra), installation)

        client.says("bucket", "create", bucket, "--wait")
        sent = json.loads(client.says("upload", "data://.my/file.bin", there, "--wait", "--json"))
        assert (sent["size"], sent["verified"]) == (10_000, True)
        told = client.python(
            "import b2jobs\n"
            f"again = b2jobs.download('{there}', 'data://.my/again.bin')\n"
            f"stored = b2jobs.upload('s3://legacy/archive/x', 'b2://{bucket}/x')\n"
            "print(again.wait(timeout=60).status)\n"
            "try: print(stored.wait(timeout=60).size)\n"
            "except b2jobs.JobFailed as error: print(error)"
        )

    status, stored = told.splitlines()
    assert status == "transferred"
    assert (installation.data / "again.bin").read_bytes() == b"0123456789" * 1000
    hint = "pip install 'b2jobs[worker,stores]'"
    assert stored == "7" if extra == "worker,stores" else hint in stored
    assert worker.stop() == 0, worker.output()


def test_the_demo(environment: Make, tmp_path: Path) -> None:
    command = (environment("local").command, "demo")
    demo = Process(command, log=tmp_path / "log", env=clean())
    try:
        assert demo.wait(60) == 0, demo.output()
        assert '"verified": true' in demo.output()
        assert demo.output().endswith("Stopped all that was started.\n")
    finally:
        if demo.status is None:
            kill_tree(demo)


def test_the_console_has_every_file_it_needs(
    environment: Make, installation: Installation, tmp_path: Path
) -> None:
    command = (environment("console").command, "console", "--port", "0")
    variables = {
        **clean(),
        "B2JOBS_REDIS_URL": installation.redis_url,
        "B2JOBS_CONSOLE_TOKEN": "0123456789abcdef",
    }
    console = Process(command, log=tmp_path / "log", env=variables, cwd=tmp_path)
    try:
        found = eventually(
            lambda: re.search(r"is at (http://\S+)/\n", console.output()), what=console.output
        )
        browser = Browser(found[1]).log_in("0123456789abcdef")
        page = browser.get("/").text
        for place in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            assert browser.get(place).status == 200, place
        assert "b2jobs_up 1.0" in browser.get("/metrics").text
    finally:
        assert console.stop() == 0
