"""A sync from another object store: a root whose URL is an S3 prefix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import b2jobs
from contract.sources.storeserver import store_server
from support.emulator import LocalB2
from support.installation import Installation
from support.synced import Pair


def test_up_from_s3_and_then_nothing(
    tmp_path: Path, local_b2: LocalB2, make_installation: Callable[..., Installation]
) -> None:
    with store_server(tmp_path) as store:
        objects = {f"archive/{n % 3}/{n:02}": f"content {n}".encode() for n in range(12)}
        store.fill("legacy", {**objects, "other/x": b"x"})
        installation = make_installation()
        installation.write_secrets(
            {
                **local_b2.account,
                "stores": {
                    "s3://legacy": {
                        "access_key_id": "id",
                        "secret_access_key": "secret",
                        "region": "us-east-1",
                        "endpoint": store.endpoint,
                    }
                },
            }
        )
        with installation.config.open("a") as config:
            config.write('\n[roots.legacy]\nurl = "s3://legacy/archive"\n')
        installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
        pair = Pair(installation, local_b2)

        first = pair.run("data://legacy/", pair.remote)

        assert first.outcomes == {"transferred": 12}
        assert pair.there() == {
            name.removeprefix("archive/"): content for name, content in objects.items()
        }
        again = pair.run("data://legacy/", pair.remote)
        assert again.items == 0
        assert again.compared["unchanged"] == 12
        with pytest.raises(b2jobs.JobFailed, match="sha1_unavailable"):
            pair.run("data://legacy/", pair.remote, compare="sha1")
        with pytest.raises(b2jobs.JobFailed, match="destination_unsupported"):
            pair.run(pair.remote, "data://legacy/")
