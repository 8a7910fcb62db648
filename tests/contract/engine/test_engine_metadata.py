"""What goes along with the bytes: headers, times, info. Files that nobody may read or remove."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
import urllib.request

import pytest

from b2jobs.errors import JobError, OperatorError
from contract.engine.corner import BUCKET, Bench, call

HEADERS = {
    "b2-cache-control": "max-age=60",
    "b2-content-disposition": 'attachment; filename="x.txt"',
    "b2-content-encoding": "gzip",
    "b2-content-language": "de",
    "b2-expires": "Thu, 01 Dec 2044 16:00:00 GMT",
}


def put(bench: Bench, name: str, info: dict[str, str]) -> None:
    client = bench.context.client("default", bench.attempt())
    client.upload_file(
        client.bucket(BUCKET), bench.prefix + name, b"hello",
        length=5, sha1=hashlib.sha1(b"hello").hexdigest(), content_type="text/x-own",
        info=info, in_doubt=lambda: None,
    )  # fmt: skip


def test_headers_of_their_own_are_set_and_copied(bench: Bench) -> None:
    """A copy dropped them: what was gzip was then served as plain text."""
    bench.run("upload", source="data:,x", destination=bench.b2("a"), info=HEADERS)
    [source] = bench.versions("a")
    assert HEADERS.items() <= source.info.items()
    bench.run("copy", bench.attempt("copy"), source=bench.b2("a"), destination=bench.b2("b"))
    [copied] = bench.versions("b")
    assert HEADERS.items() <= copied.info.items()


def test_another_type_alone_keeps_the_info_and_the_time(bench: Bench) -> None:
    put(bench, "a", {"color": "red", "src_last_modified_millis": "1234"})
    bench.run("copy", bench.attempt("copy"), source=bench.b2("a"), destination=bench.b2("b"),
              content_type="text/x-new")  # fmt: skip
    [copied] = bench.versions("b")
    assert copied.content_type == "text/x-new"
    assert (copied.info["color"], copied.modified_millis) == ("red", 1234)


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("-1000", -1000),
        ("0", 0),
        ("1234567890123", 1234567890123),
        ("9" * 25, None),
        ("1700000000000000000", None),  # nanoseconds
        (" 12 ", None),
        ("1_000", None),
        ("yesterday", None),
    ],
)
def test_times_come_down_as_they_were_told(bench: Bench, text: str, millis: int | None) -> None:
    put(bench, "a", {"src_last_modified_millis": text})
    bench.run("download", source=bench.b2("a"), destination="data://out/a")
    found = bench.out("a").stat().st_mtime_ns // 1_000_000
    if millis is None:
        assert abs(found - time.time() * 1000) < 60_000
    else:
        assert found == millis
    assert [path.name for path in bench.folder.joinpath("out").iterdir()] == ["a"]


def test_a_source_before_1970_goes_up_and_comes_down(bench: Bench) -> None:
    source = bench.put("old", b"x")
    os.utime(bench.folder / "in" / "old", ns=(-5_000_000_000, -5_000_000_000))
    bench.run("upload", source=source, destination=bench.b2("a"))
    bench.run("download", source=bench.b2("a"), destination="data://out/a")
    assert bench.out("a").stat().st_mtime_ns == -5_000_000_000


def test_eight_entries_a_time_and_a_digest_fit(bench: Bench) -> None:
    """With the job's mark they were eleven, and B2 takes ten."""
    info = {f"k{number}": "v" for number in range(8)}
    content = os.urandom(500_000)
    for job, status in (("1", "transferred"), ("2", "unchanged")):
        result = bench.run(
            "upload", bench.attempt(job), source=bench.put("x", content),
            destination=bench.b2("a"), info=info, if_exists="skip",
        )  # fmt: skip
        assert result.status == status
    [version] = bench.versions("a")
    assert len(version.info) == 10


@pytest.fixture
def encrypted(bench: Bench) -> Bench:
    """Beside what a test makes there is a file `a` with a customer's key."""
    [bucket] = [
        each for each in bench.run("bucket", action="list").buckets if each["name"] == BUCKET
    ]
    target = call(bench, "b2_get_upload_url", bucketId=bucket["id"])
    key = b"k" * 32
    request = urllib.request.Request(
        target["uploadUrl"],
        b"secret",
        {
            "Authorization": target["authorizationToken"],
            "X-Bz-File-Name": f"{bench.prefix}a",
            "Content-Type": "text/plain",
            "X-Bz-Content-Sha1": hashlib.sha1(b"secret").hexdigest(),
            "X-Bz-Server-Side-Encryption-Customer-Algorithm": "AES256",
            "X-Bz-Server-Side-Encryption-Customer-Key": base64.b64encode(key).decode(),
            "X-Bz-Server-Side-Encryption-Customer-Key-Md5": base64.b64encode(
                hashlib.md5(key, usedforsecurity=False).digest()
            ).decode(),
        },
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    return bench


@pytest.mark.parametrize("kind", ["download", "copy"])
def test_a_customer_s_key_is_named(encrypted: Bench, kind: str) -> None:
    destination = "data://out/a" if kind == "download" else encrypted.b2("b")
    with pytest.raises(JobError) as caught:
        encrypted.run(kind, source=encrypted.b2("a"), destination=destination)
    assert caught.value.code == "customer_key_needed"
    assert list(encrypted.folder.joinpath("out").iterdir()) == []


def test_a_file_with_a_customer_s_key_is_there_for_uploads(encrypted: Bench) -> None:
    with pytest.raises(JobError) as caught:
        encrypted.run("upload", source="data:,x", destination=encrypted.b2("a"), if_exists="fail")
    assert caught.value.code == "file_exists"
    skipped = encrypted.run(
        "upload", source="data:,x", destination=encrypted.b2("a"), if_exists="skip"
    )
    assert skipped.status == "transferred"


def test_what_is_retained_is_said_before_anything_is_sent(bench: Bench) -> None:
    name = "locked-bucket-of-a-test"
    made = call(bench, "b2_create_bucket", bucketName=name, bucketType="allPrivate",
                fileLockEnabled=True)  # fmt: skip
    bench.run("upload", source="data:,x", destination=f"b2://{name}/a")
    client = bench.context.client("default", bench.attempt())
    [version] = client.versions_of(client.bucket(name), "a")
    until = int((time.time() + 3600) * 1000)
    call(bench, "b2_update_file_retention", fileName="a", fileId=version.file_id,
         fileRetention={"mode": "governance", "retainUntilTimestamp": until})  # fmt: skip
    bench.admin.clear_journal()
    for kind, arguments in (
        ("upload", {"source": "data:,y", "destination": f"b2://{name}/a", "if_exists": "replace"}),
        ("delete", {"target": f"b2://{name}/a"}),
    ):
        with pytest.raises(OperatorError) as caught:
            bench.run(kind, bench.attempt(kind), **arguments)
        assert caught.value.code == "file_locked"
        assert "retained until" in caught.value.message
    assert "b2_upload_file" not in bench.admin.counters().calls
    assert len(list(client.versions_of(client.bucket(name), "a"))) == 1
    assert made["bucketName"] == name


def test_a_key_that_is_deleted_in_the_middle_is_said(bench: Bench) -> None:
    master = bench.secrets.read_text()
    made = call(bench, "b2_create_key", keyName="short-lived",
                capabilities=["listBuckets", "listFiles", "readFiles", "writeFiles"])  # fmt: skip
    short = {"key_id": made["applicationKeyId"], "application_key": made["applicationKey"]}
    bench.secrets.write_text(json.dumps({**short, "realm": bench.realm}))
    other = bench.another_worker()
    other.run("upload", source="data:,x", destination=bench.b2("a"))
    bench.secrets.write_text(master)
    call(bench, "b2_delete_key", applicationKeyId=made["applicationKeyId"])
    bench.secrets.write_text(json.dumps({**short, "realm": bench.realm}))
    with pytest.raises(JobError) as caught:
        other.run("upload", other.attempt("2"), source="data:,x", destination=bench.b2("a"))
    assert caught.value.code == "credentials_invalid"


def test_a_restricted_key_takes_the_bucket_s_name_in_any_case(bench: Bench) -> None:
    [bucket] = [
        each for each in bench.run("bucket", action="list").buckets if each["name"] == BUCKET
    ]
    made = call(bench, "b2_create_key", keyName="restricted", bucketId=bucket["id"],
                capabilities=["listBuckets", "listFiles", "readFiles", "writeFiles"])  # fmt: skip
    short = {"key_id": made["applicationKeyId"], "application_key": made["applicationKey"]}
    bench.secrets.write_text(json.dumps({**short, "realm": bench.realm}))
    restricted = bench.another_worker()
    where = f"b2://{BUCKET.title()}/{bench.prefix}a"
    restricted.run("upload", source="data:,x", destination=where)
    assert restricted.run("download", source=where, destination="data://out/a").size == 1
