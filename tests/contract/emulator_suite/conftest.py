"""One emulator for the suite, a bucket of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from b2sdk.v3 import B2Api, Bucket

from support.emulator_process import PART_BYTES, Running, emulator


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[Running]:
    part = str(PART_BYTES)
    parts = ("--min-part-size", part, "--recommended-part-size", part)
    with emulator("--memory", "--max-buckets", "10000", *parts) as running:
        yield running


@pytest.fixture
def b2(shared_emulator: Running) -> Iterator[Running]:
    """The suite's emulator with an empty journal and no faults."""
    shared_emulator.admin.reset()
    yield shared_emulator
    shared_emulator.admin.reset()


@pytest.fixture
def api(b2: Running) -> B2Api:
    return b2.api()


@pytest.fixture
def bucket(api: B2Api) -> Bucket:
    return api.create_bucket(f"bucket-{secrets.token_hex(6)}", "allPrivate")
