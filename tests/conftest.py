"""What tests share: a real Redis, the local B2, installations with workers. See tests/README.md."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.emulator import LocalB2
from support.fake import Fake
from support.installation import Installation
from support.redis_server import RedisServer

pytest_plugins = ["b2jobs.testing"]

# A busy machine must not fail a test: nothing here is timed. The same examples every time,
# so that a change is judged by itself; `--hypothesis-profile=search` looks for new ones.
settings.register_profile("b2jobs", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("b2jobs")

# What a CI or a shell starts in the background ignores these, and so would all that tests start.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for the whole session: its own, or the one that B2JOBS_TEST_REDIS_URL names."""
    given = os.environ.get("B2JOBS_TEST_REDIS_URL")
    if given:
        yield given
        return
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server.url
    server.close()


@pytest.fixture
def make_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts Redis servers of the test's own, which it may kill: `make_redis(appendonly=True)`."""
    servers: list[RedisServer] = []

    def make(**config: Any) -> RedisServer:
        servers.append(RedisServer(tmp_path / f"redis{len(servers)}", **config))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def local_b2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalB2]:
    """One local B2 for the whole session. Use a bucket of your own; faults belong to `own_b2`."""
    folder = tmp_path_factory.mktemp("b2")
    emulator = LocalB2(folder, "--data", str(folder / "data"))
    yield emulator
    emulator.close()


@pytest.fixture
def own_b2(tmp_path: Path) -> Iterator[LocalB2]:
    """A local B2 for this test alone, which may be given faults."""
    folder = tmp_path / "b2"
    parts = ("--min-part-size", "50000", "--recommended-part-size", "100000")
    emulator = LocalB2(folder, "--data", str(folder / "data"), *parts)
    yield emulator
    emulator.close()


@pytest.fixture
def make_installation(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Installation]]:
    """Makes installations that end with the test: `make_installation(redis_url=..., ...)`."""
    made: list[Installation] = []

    def make(redis_url: str = redis_url, **options: Any) -> Installation:
        folder = tmp_path / f"installation{len(made)}"
        folder.mkdir()
        made.append(Installation(folder, redis_url, **options))
        return made[-1]

    yield make
    for installation in made:
        installation.close()


@pytest.fixture
def installation(make_installation: Callable[..., Installation]) -> Installation:
    """An installation on the session's Redis, without workers and without B2."""
    return make_installation()


@pytest.fixture
def fake(installation: Installation) -> Fake:
    """An installation for jobs that move nothing; start its workers with `start_celery`."""
    return Fake(installation)


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, local_b2: LocalB2
) -> Iterator[Installation]:
    """The real thing for the whole session: workers that move files into the local B2."""
    installation = Installation(
        tmp_path_factory.mktemp("stack"), redis_url, account=local_b2.account
    )
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_SLOTS="8")
    yield installation
    installation.close()


# The files that take long come first: none of them is left for the end, when one process works.
_BY_DISTANCE = ("faults", "acceptance", "integration", "security", "contract", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Far tests first. Those that start processes wait as long as a crowded machine needs."""
    items.sort(
        key=lambda item: min(
            map(_BY_DISTANCE.index, set(_BY_DISTANCE) & {*item.path.parts}), default=0
        )
    )
    for item in items:
        if item.path.parent.name in ("faults", "integration"):
            item.add_marker(pytest.mark.timeout(400), append=False)
