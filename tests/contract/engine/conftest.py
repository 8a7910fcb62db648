"""The engine on real parts: the local B2 as a process of its own, folders as roots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from b2emulator.admin import Admin
from b2jobs_worker import transfer
from b2jobs_worker.settings import Root, Settings
from contract.engine.corner import BUCKET, CUSTOMER_KEYS, PART_BYTES, Bench
from support import emulator_process


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A B2 with small parts, for the session."""
    folder = tmp_path_factory.mktemp("b2")
    parts = ("--min-part-size", "50000", "--recommended-part-size", str(PART_BYTES))
    with emulator_process.emulator("--data", str(folder), "--bucket", BUCKET, *parts) as running:
        yield running.ready


@pytest.fixture
def bench(
    emulator: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Bench]:
    secrets = tmp_path / "b2.json"
    secrets.touch(mode=0o600)
    account = {key: emulator[key] for key in ("key_id", "application_key", "realm")}
    secrets.write_text(json.dumps({**account, "customer_keys": CUSTOMER_KEYS}))
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    settings = Settings(
        secrets_file=secrets,
        roots={
            "in": Root(url=f"file://{tmp_path}/in"),
            "out": Root(url=f"file://{tmp_path}/out", access="read-write"),
        },
        part_size_bytes=PART_BYTES,
    )
    admin = Admin(emulator["realm"])
    admin.reset()
    prefix = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60] + "/"
    yield Bench(
        transfer.build_context(settings, durable=False),
        admin,
        tmp_path,
        emulator["realm"],
        prefix,
        secrets,
    )
    admin.reset()
