"""Retention and legal hold: asked for, kept by copies, refused where they cannot be."""

from __future__ import annotations

import importlib
import os
import time
import uuid
from typing import Any

import pytest

from b2jobs.errors import JobError
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.transfer import copy_large
from contract.engine.corner import Bench, call, key_with

copying = importlib.import_module("b2jobs_worker.transfer.copy")
DAY = 86_400_000


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies by parts from 150 KB on."""
    monkeypatch.setattr(copying, "ONE_CALL_BYTES", 150_000)
    monkeypatch.setattr(copy_large, "PART_BYTES", 100_000)


@pytest.fixture
def locked(bench: Bench) -> str:
    """A bucket with file lock, as `b2://NAME/`."""
    name = f"locked-{uuid.uuid4().hex[:12]}"
    call(bench, "b2_create_bucket", bucketName=name, bucketType="allPrivate", fileLockEnabled=True)
    return f"b2://{name}/"


def there(bench: Bench, uri: str) -> Any:
    """The newest version of *uri*, or None."""
    client = bench.context.client("default", DetachedAttempt())
    _, _, bucket, name = uri.split("/", 3)
    return next(client.versions_of(client.bucket(bucket), name), None)


def refused(bench: Bench, kind: str, **arguments: Any) -> JobError:
    with pytest.raises(JobError) as caught:
        bench.run(kind, bench.attempt(uuid.uuid4().hex), **arguments)
    return caught.value


@pytest.mark.usefixtures("cut_small")
@pytest.mark.parametrize("size", [5, 500_000])
def test_what_is_locked_stays_so_in_a_copy(bench: Bench, locked: str, size: int) -> None:
    source = bench.put("a", os.urandom(size))
    began = time.time() * 1000
    bench.run("upload", source=source, destination=locked + "a", retention="governance",
              retain_for="30d", legal_hold=True)  # fmt: skip
    first = there(bench, locked + "a")
    assert first.is_held
    assert first.retention.mode == "governance"
    assert began + 29 * DAY < first.retention.until_millis < began + 31 * DAY

    def copied(name: str, **named: Any) -> Any:
        ends = {"source": locked + "a", "destination": locked + name}
        bench.run("copy", bench.attempt(name), **ends, **named)
        return there(bench, locked + name)

    same = copied("same")
    assert (same.retention, same.is_held) == (first.retention, True)
    free = copied("free", retention="none")
    assert (free.retention, free.is_held) == (None, True)
    let = copied("let", legal_hold=False)
    assert (let.retention, let.is_held) == (first.retention, False)
    until = copied("until", retention="compliance", retain_until="2044-12-01")
    assert str(until.retention) == "compliance until 2044-12-01 00:00:00 UTC"
    by_id = bench.run("copy", bench.attempt("id"), source=f"b2id://{first.file_id}",
                      destination=locked + "id", cache_control="no-store")  # fmt: skip
    assert by_id.not_carried == []
    assert there(bench, locked + "id").retention == first.retention

    said = refused(bench, "copy", source=locked + "a", destination=bench.b2("b"))
    assert said.code == "lock_not_enabled"
    assert "retention='none'" in said.hint
    assert bench.versions("b") == []
    bench.run("copy", bench.attempt("b"), source=locked + "a", destination=bench.b2("b"),
              retention="none", legal_hold=False)  # fmt: skip
    assert not bench.versions("b")[0].is_locked


@pytest.mark.parametrize("size", [5, 500_000])
def test_a_lock_that_cannot_be_is_said(bench: Bench, locked: str, size: int) -> None:
    source = bench.put("a", os.urandom(size))
    asked = {"source": source, "destination": bench.b2("a")}
    assert refused(bench, "upload", **asked, legal_hold=True).code == "lock_not_enabled"
    past = {"retention": "governance", "retain_until": "2020-01-01"}
    assert refused(bench, "upload", **asked, **past).code == "retention_past"
    assert bench.versions("a") == []
    narrow = key_with(bench, "listBuckets", "listFiles", "readFiles", "writeFiles")
    until = {"retention": "governance", "retain_for": 60}
    to = {"source": source, "destination": locked + "a"}
    assert "writeFileRetentions" in refused(narrow, "upload", **to, **until).message
    assert "writeFileLegalHolds" in refused(narrow, "upload", **to, legal_hold=True).message
    assert there(bench, locked + "a") is None


def test_what_a_key_may_not_know_is_said(bench: Bench, locked: str) -> None:
    """It cannot be carried, and nobody is told that all was."""
    bench.run("upload", source="data:,x", destination=locked + "a", retention="governance",
              retain_for="1d")  # fmt: skip
    narrow = key_with(bench, "listBuckets", "listFiles", "readFiles", "writeFiles")
    ends = {"source": locked + "a", "destination": locked + "b"}
    assert narrow.run("copy", narrow.attempt("b"), **ends).not_carried == ["retention"]
    ends["destination"] = locked + "c"
    assert narrow.run("copy", narrow.attempt("c"), **ends, retention="none").not_carried == []
    bench.run("upload", bench.attempt("free"), source="data:,x", destination=bench.b2("free"))
    ends = {"source": bench.b2("free"), "destination": bench.b2("copy")}
    assert narrow.run("copy", narrow.attempt("free"), **ends).not_carried == []


def test_little_room_is_left_for_info(bench: Bench) -> None:
    """2,048 bytes with the name: the job's mark gives way first, then the job is refused."""
    source = bench.put("a", b"x")
    info = {"k": "v" * 1650}
    ends = {"source": source, "destination": bench.b2("n" * 240), "encryption": "SSE-B2"}
    first = bench.attempt("1")
    bench.run("upload", first, **ends, info=info)
    [made] = bench.versions("n" * 240)
    assert (made.mark, made.info["k"]) == ("", info["k"])
    again = bench.attempt("1", number=2, journal=first.journal)
    assert bench.run("upload", again, **ends, info=info).file_id == made.file_id
    long = {**ends, "destination": bench.b2("n" * 240 + "/" + "m" * 240)}
    assert refused(bench, "upload", **long, info=info).code == "info_too_large"
