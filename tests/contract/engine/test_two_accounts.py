"""Copies between two accounts of B2: server side where one key sees both, else by the worker."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from b2emulator.admin import Admin
from b2jobs.errors import InvalidJob, JobError
from b2jobs.requests import build
from b2jobs_worker.attempt import DetachedAttempt, Interrupted, MemoryJournal
from contract.engine.corner import BUCKET, PART_BYTES, Bench, call
from support.emulator_process import emulator

OTHER_BUCKET = "other-bucket"
CONTENT = hashlib.shake_256(b"b2jobs").digest(1_100_011)
SHA1 = hashlib.sha1(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def other_b2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Another B2, whose account knows nothing of the first."""
    folder = tmp_path_factory.mktemp("other-b2")
    parts = ("--min-part-size", "50000", "--recommended-part-size", str(PART_BYTES))
    with emulator("--data", str(folder), "--bucket", OTHER_BUCKET, *parts) as running:
        yield running.ready


@dataclass
class Two:
    """The first account is `default`, the other one `other`."""

    bench: Bench
    there: Admin

    def uri(self, name: str) -> str:
        return f"b2://{OTHER_BUCKET}/{self.bench.prefix}{name}"

    def over(self, attempt: DetachedAttempt | None = None, **more: Any) -> Any:
        asked = {"source": self.bench.b2("a"), "destination": self.uri("a")}
        accounts = {"source_account": "default", "account": "other"}
        return self.bench.run("copy", attempt, **{**asked, **accounts, **more})

    def versions(self, name: str = "a") -> list[Any]:
        client = self.bench.context.client("other", DetachedAttempt())
        return list(client.versions_of(client.bucket(OTHER_BUCKET), self.bench.prefix + name))

    def content(self, name: str = "a") -> bytes:
        out = f"data://out/{uuid.uuid4().hex}"
        self.bench.run("download", source=self.uri(name), destination=out, account="other")
        return self.bench.out(out.rpartition("/")[2]).read_bytes()


@pytest.fixture
def two(bench: Bench, other_b2: dict[str, Any]) -> Iterator[Two]:
    secrets = json.loads(bench.secrets.read_text())
    own = {key: secrets.pop(key) for key in ("key_id", "application_key", "realm")}
    other = {key: other_b2[key] for key in own}
    bench.secrets.write_text(json.dumps({**secrets, "accounts": {"default": own, "other": other}}))
    there = Admin(other_b2["realm"])
    there.reset()
    yield Two(replace(bench, prefix=f"{uuid.uuid4().hex}/"), there)
    there.reset()


def put(two: Two, content: bytes, **info: str) -> None:
    bench = two.bench
    bench.run(
        "upload",
        source=bench.put("a", content),
        destination=bench.b2("a"),
        content_type="image/png",
        info={"colour": "red", "b2-cache-control": "max-age=60", **info},
    )
    bench.admin.reset()
    two.there.reset()


@pytest.mark.parametrize("content", [b"", b"small", CONTENT])
def test_what_no_key_sees_passes_through_the_worker_and_is_verified(
    two: Two, content: bytes
) -> None:
    sha1 = hashlib.sha1(content).hexdigest()
    put(two, content, src_last_modified_millis="1600000000123", large_file_sha1=sha1)
    result = two.over()
    assert (result.verified, result.sha1, result.size) == (True, sha1, len(content))
    assert (result.kind, result.uri) == ("copy", two.uri("a"))
    assert two.content() == content
    [made] = two.versions()
    assert made.content_type == "image/png"
    assert made.modified_millis == 1600000000123
    assert made.info["colour"] == "red"
    assert made.info["b2-cache-control"] == "max-age=60"
    assert "b2_copy_file" not in {**two.bench.admin.counters().calls, **two.there.counters().calls}
    assert result.calls["a"] >= 1
    assert result.calls["b"] >= 1
    assert two.over(two.bench.attempt("2"), if_exists="skip").status == "unchanged"
    assert len(two.versions()) == 1


def test_what_the_copy_names_wins(two: Two) -> None:
    put(two, b"content")
    two.over(content_type="text/plain", info={"shape": "round"})
    [made] = two.versions()
    assert (made.content_type, made.info["shape"]) == ("text/plain", "round")
    assert "colour" not in made.info


@pytest.mark.parametrize("fault", ["truncate", "service_unavailable"])
def test_a_reading_that_breaks_goes_on(two: Two, fault: str) -> None:
    put(two, CONTENT)
    options = {"bytes": 50_000} if fault == "truncate" else {}
    two.bench.admin.fault(fault, calls="b2_download_*", next=2, **options)
    assert two.over().sha1 == SHA1
    assert two.content() == CONTENT


class Stopping(MemoryJournal):
    """Ends its attempt when so many parts are noted."""

    def __init__(self, bench: Bench, parts: int, *, keep: bool) -> None:
        super().__init__()
        self.attempt = bench.attempt(journal=self)
        self.parts, self.keep = parts, keep

    def record(self, fields: dict[str, str]) -> None:
        super().record(fields)
        if sum(name.startswith("part.") for name in self.fields) >= self.parts:
            self.attempt.interrupt("stopped", keep=self.keep)


def test_an_attempt_that_goes_on_reads_only_the_rest(two: Two) -> None:
    put(two, CONTENT, large_file_sha1=SHA1)
    journal = Stopping(two.bench, 2, keep=True)
    with pytest.raises(Interrupted):
        two.over(journal.attempt)
    assert [each.action for each in two.versions()] == ["start"]
    left = MemoryJournal()
    left.fields = dict(journal.fields)
    result = two.over(two.bench.attempt(number=2, journal=left))
    assert result.resumed_bytes >= 2 * PART_BYTES
    assert (result.sha1, result.verified) == (SHA1, True)
    assert two.content() == CONTENT


def test_cancelled_it_leaves_nothing(two: Two) -> None:
    put(two, CONTENT)
    with pytest.raises(Interrupted):
        two.over(Stopping(two.bench, 2, keep=False).attempt)
    assert two.versions() == []


def test_bytes_that_are_never_right_are_not_stored(two: Two) -> None:
    put(two, CONTENT, large_file_sha1=SHA1)
    two.bench.admin.fault("corrupt", calls="b2_download_*", bytes=77)
    journal = MemoryJournal()
    codes = []
    for number in (1, 2, 3):
        with pytest.raises(JobError) as caught:
            two.over(two.bench.attempt(number=number, journal=journal))
        codes.append(caught.value.code)
    assert codes == ["source_changed", "source_changed", "checksum_differs"]
    assert two.versions() == []


def narrow(two: Two, name: str, bucket: str, *capabilities: str) -> None:
    """The account *name*: a key of the first account that sees only *bucket*."""
    [found] = [
        each for each in two.bench.run("bucket", action="list").buckets if each["name"] == bucket
    ]
    made = call_as_default(two, "b2_create_key", keyName=name, bucketId=found["id"],
                           capabilities=["listBuckets", "listFiles", *capabilities])  # fmt: skip
    secrets = json.loads(two.bench.secrets.read_text())
    secrets["accounts"][name] = {
        "key_id": made["applicationKeyId"],
        "application_key": made["applicationKey"],
        "realm": two.bench.realm,
    }
    two.bench.secrets.write_text(json.dumps(secrets))


def call_as_default(two: Two, name: str, **fields: object) -> dict[str, Any]:
    flat = two.bench.folder / "flat.json"
    flat.write_text(json.dumps(json.loads(two.bench.secrets.read_text())["accounts"]["default"]))
    return call(replace(two.bench, secrets=Path(flat)), name, **fields)


@pytest.mark.parametrize(
    ("account", "source_account", "by"),
    [
        ("default", "narrow", "server"),  # the key that writes sees both
        ("narrow", "default", "server"),  # the key that reads sees both
        ("narrow", "elsewhere", "worker"),  # none does
    ],
)
def test_one_key_that_sees_both_sides_copies_in_b2(
    two: Two, account: str, source_account: str, by: str
) -> None:
    put(two, b"content")
    bucket = f"narrow-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    two.bench.run("bucket", action="create", name=bucket, type="private")
    narrow(two, "narrow", bucket, "readFiles", "writeFiles")
    narrow(two, "elsewhere", BUCKET, "readFiles", "writeFiles")
    if (account, source_account) == ("default", "narrow"):
        narrow(two, "narrow", BUCKET, "readFiles")
    two.bench.admin.reset()
    result = two.over(
        account=account, source_account=source_account, destination=f"b2://{bucket}/a"
    )
    calls = two.bench.admin.counters().calls
    assert ("b2_copy_file" in calls) == (by == "server")
    assert result.verified == (by == "worker")
    got = two.bench.run("download", source=f"b2://{bucket}/a", destination="data://out/got")
    assert got.size == 7


def test_a_source_s_account_is_refused_where_only_one_side_is_in_b2() -> None:
    for kind in ("batch", "sync"):
        with pytest.raises(InvalidJob, match="source_account"):
            build(
                kind,
                {"source": "data://in/x/", "destination": "b2://bucket/x/", "source_account": "x"},
            )
