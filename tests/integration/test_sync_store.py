"""Batches and syncs from and to another object store, through workers: S3 (moto)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import b2jobs
from contract.sources.storeserver import StoreServer, store_server
from support.emulator import LocalB2
from support.installation import Installation
from support.released import Released, needs_tools
from support.synced import LONG_AGO, Pair

CONTENTS = {f"{n % 3}/{n:02}": f"content {n}".encode() for n in range(12)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreServer]:
    with store_server(tmp_path) as server:
        yield server


@pytest.fixture
def pair(
    store: StoreServer, local_b2: LocalB2, make_installation: Callable[..., Installation]
) -> Pair:
    installation = make_installation()
    entry = {
        "access_key_id": "id",
        "secret_access_key": "secret",
        "region": "us-east-1",
        "endpoint": store.endpoint,
    }
    installation.write_secrets(
        {
            **local_b2.account,
            "stores": {"s3://": entry, "s3://open": {**entry, "access": "read-write"}},
        }
    )
    with installation.config.open("a") as config:
        config.write('\n[roots.legacy]\nurl = "s3://legacy/archive"\n')
        config.write('\n[policy.queues.high]\nwrite = ["s3://open/all/"]\n')
        config.write('\n[roots.away]\nurl = "s3://away/copy"\naccess = "read-write"\n')
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    return Pair(installation, local_b2)


def objects(store: StoreServer, bucket: str) -> dict[str, bytes]:
    client = store.client
    return {
        each["Key"]: client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        for each in client.list_objects_v2(Bucket=bucket).get("Contents", ())
    }


def test_up_from_s3_and_then_nothing(pair: Pair, store: StoreServer) -> None:
    store.fill("legacy", {f"archive/{name}": text for name, text in CONTENTS.items()})
    store.fill("legacy", {"other/x": b"x"})

    first = pair.run("data://legacy/", pair.remote)

    assert first.outcomes == {"transferred": 12}
    assert pair.there() == CONTENTS
    again = pair.run("data://legacy/", pair.remote)
    assert again.items == 0
    assert again.compared["unchanged"] == 12
    # None of these objects tells its SHA-1: what differs is told by size and time.
    assert pair.run("data://legacy/", pair.remote, compare="sha1").items == 0
    with pytest.raises(b2jobs.JobFailed, match="root_read_only"):
        pair.run(pair.remote, "data://legacy/")
    with pytest.raises(b2jobs.JobFailed, match="store_read_only"):
        pair.run(pair.remote, "s3://legacy/archive/")


def test_down_into_s3_and_then_only_what_differs(pair: Pair, store: StoreServer) -> None:
    store.fill("away", {"copy/gone": b"gone", "copy/kept.log": b"log", "beside": b"beside"})
    for name, content in CONTENTS.items():
        pair.put(name, content)
    pair.put("a", b"a name")
    pair.put("a/b", b"below it, as only a store can have both")
    pair.put("skipped.log", b"log")
    options: dict[str, Any] = {"delete": "remove", "exclude": ["*.log"], "max_delete": 1}
    there = {f"copy/{name}": content for name, content in CONTENTS.items()}
    there |= {"copy/a": b"a name", "copy/a/b": b"below it, as only a store can have both"}
    beside = {"copy/kept.log": b"log", "beside": b"beside"}

    planned = pair.run(pair.remote, "data://away/", dry_run=True, **options)
    assert (planned.plan["download"]["items"], planned.plan["remove"]["items"]) == (14, 1)
    assert len(objects(store, "away")) == 3

    first = pair.run(pair.remote, "data://away/", **options)

    assert first.outcomes == {"transferred": 14, "deleted": 1}
    assert objects(store, "away") == there | beside
    again = pair.run(pair.remote, "data://away/", **options)
    assert (again.items, again.compared["unchanged"]) == (0, 14)

    pair.put("a", b"longer than it was", millis=LONG_AGO + 1_000)
    pair.put("0/03", b"CONTENT 3", millis=LONG_AGO - 1_000)  # as long, and older
    changed = pair.run(pair.remote, "data://away/", newer="replace", **options)

    expected = {"copy/a": b"longer than it was", "copy/0/03": b"CONTENT 3"}
    assert changed.outcomes == {"transferred": len(expected)}
    assert objects(store, "away") == there | beside | expected


def test_what_comes_back_from_s3_is_in_step(pair: Pair, store: StoreServer) -> None:
    """The time stands among an object's entries, not in its listing."""
    store.fill("away", {})
    for name, content in CONTENTS.items():
        pair.put(name, content)
    assert pair.run(pair.remote, "data://away/").outcomes == {"transferred": 12}

    assert pair.run("data://away/", pair.remote).items == 0
    back = Pair(pair.installation, pair.local_b2)
    assert back.run("data://away/", back.remote).outcomes == {"transferred": 12}
    for version, _ in back.bucket.ls(recursive=True):
        assert version.file_info["src_last_modified_millis"] == str(LONG_AGO)
    assert back.run("data://away/", back.remote).items == 0
    assert back.run("data://away/", back.remote, compare="sha1").items == 0


def test_batches_go_into_s3_and_a_manifest_mixes_all_sides(pair: Pair, store: StoreServer) -> None:
    store.fill("open", {"in": b"from s3"})
    store.fill("legacy", {})
    pair.write("local", b"from a folder")
    for name, content in CONTENTS.items():
        pair.put(name, content)
    client = pair.installation.client

    ledger = "data://away/ledger/"
    batch = client.batch(pair.remote, "s3://open/all/", if_exists="fail", ledger=ledger)
    assert batch.wait(40).outcomes == {"transferred": 12}
    assert objects(store, "open") == {
        "in": b"from s3",
        **{f"all/{name}": content for name, content in CONTENTS.items()},
    }
    lines = {line["destination"]: line for line in batch.lines()}
    assert lines["s3://open/all/0/03"]["sha1"] == hashlib.sha1(CONTENTS["0/03"]).hexdigest()
    with pytest.raises(b2jobs.JobFailed, match="policy_refused"):
        client.download(f"{pair.remote}0/03", "s3://open/beside", priority="high").wait(40)
    with pytest.raises(b2jobs.JobFailed, match="names_unsupported"):
        client.batch(pair.remote, "data://away/all/", names="encode").wait(40)
    report = list(batch.report())
    verified = client.verify(report).wait(40)
    assert (verified.checked, verified.agrees) == (12, True)
    store.client.delete_object(Bucket="open", Key="all/0/00")
    store.client.put_object(Bucket="open", Key="all/0/03", Body=b"other bytes")
    verified = client.verify(report).wait(40)
    assert (verified.missing, verified.different, verified.extra) == (1, 1, 0)
    store.client.put_object(Bucket="open", Key="all/0/03", Body=CONTENTS["0/03"])

    pair.write(
        "manifest.jsonl",
        "\n".join(
            json.dumps({"source": source, "destination": destination})
            for source, destination in [
                (f"{pair.remote}0/03", "s3://open/one"),
                (f"{pair.remote}0/06", f"{pair.local}two"),
                (f"{pair.remote}0/09", f"{pair.remote}three"),
                ("s3://open/in", f"{pair.remote}four"),
                (f"{pair.local}local", f"{pair.remote}five"),
                (f"{pair.remote}0/00", "data://away/"),
                (f"{pair.remote}0/00", "s3://legacy/not"),
                ("s3://open/in", "s3://open/out"),
            ]
        ),
    )
    store.fill("away", {})
    mixed = client.batch(f"{pair.local}manifest.jsonl")
    with pytest.raises(b2jobs.JobFailed, match="items_failed"):
        mixed.wait(40)
    assert mixed.status().outcomes["transferred"] == 6
    assert objects(store, "open")["one"] == CONTENTS["0/03"]
    assert (pair.folder / "two").read_bytes() == CONTENTS["0/06"]
    assert pair.there()["three"] == CONTENTS["0/09"]
    assert pair.there()["four"] == b"from s3"
    assert pair.there()["five"] == b"from a folder"
    assert objects(store, "away") == {"copy/00": CONTENTS["0/00"]}
    codes = {line["code"] for line in mixed.lines() if line["status"] == "failed"}
    assert codes == {"store_read_only", "invalid_location"}


@needs_tools
def test_rclone_and_b2jobs_read_each_other_s_times_in_s3(
    pair: Pair, store: StoreServer, tmp_path: Path
) -> None:
    store.fill("away", {})
    for name, content in CONTENTS.items():
        pair.put(name, content)
    pair.run(pair.remote, "data://away/")
    tools = Released(tmp_path, pair.local_b2)
    keys = "access_key_id=id,secret_access_key=secret"
    s3 = f":s3,provider=Other,{keys},endpoint='{store.endpoint}':"

    said = tools.rclone("lsjson", "-R", "--files-only", f"{s3}away/copy")
    listed = json.loads(said[: said.rindex("]") + 1])
    assert len(listed) == 12
    assert {each["ModTime"] for each in listed} == {"2023-11-14T22:13:20.000000000Z"}

    pair.write("theirs", b"by rclone", millis=LONG_AGO + 123)
    tools.rclone("copy", str(pair.folder), f"{s3}away/copy/theirs")
    assert pair.run("data://away/theirs/", f"{pair.remote}back/").outcomes == {"transferred": 1}
    [made] = [each for each, _ in pair.bucket.ls("back", recursive=True)]
    assert made.file_info["src_last_modified_millis"] == str(LONG_AGO + 123)
    assert "mtime" not in made.file_info
