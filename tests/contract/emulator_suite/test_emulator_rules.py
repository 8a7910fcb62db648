"""B2's rules that need two requests at once, time, or a key that may do only one thing."""

from __future__ import annotations

import hashlib
import io
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from b2sdk import v3 as b2sdk
from b2sdk._internal.exception import CopySourceTooBig, UploadTokenUsedConcurrently

from b2emulator.access import capabilities
from support.emulator_process import Running, emulator
from support.raw_client import RawClient


@pytest.fixture
def client(b2: Running) -> RawClient:
    client = RawClient(b2)
    client.authorize()
    return client


def test_an_upload_token_serves_one_upload_at_a_time(
    client: RawClient, bucket: b2sdk.Bucket
) -> None:
    url = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
    path = url["uploadUrl"].removeprefix(client.running.realm)
    body = b"slow and steady"
    with socket.create_connection(("127.0.0.1", client.running.ready["port"])) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {url['authorizationToken']}\r\n"
            f"X-Bz-File-Name: slow\r\nContent-Type: text/plain\r\n"
            f"X-Bz-Content-Sha1: {hashlib.sha1(body).hexdigest()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:4]
        )
        # The first upload has begun when the journal knows how much of it has come.
        while not client.running.admin.journal(call="b2_upload_file")[-1:]:
            pass
        while True:
            refused = client.upload(url, "second", b"x")
            if refused.status == 400:
                break
        assert refused.code == "auth_token_limit"
        token = url["authorizationToken"]
        assert refused.json["message"] == f"more than one upload using auth token {token}"
        connection.sendall(body[4:])
        assert b" 200 " in connection.recv(65536)
    assert client.upload(url, "afterwards", b"x").status == 200


def test_a_client_that_asks_before_it_sends(client: RawClient, bucket: b2sdk.Bucket) -> None:
    url = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
    path = url["uploadUrl"].removeprefix(client.running.realm)
    with socket.create_connection(("127.0.0.1", client.running.ready["port"])) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {url['authorizationToken']}\r\n"
            f"X-Bz-File-Name: f\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n"
            f"X-Bz-Content-Sha1: do_not_verify\r\nContent-Length: 5\r\n\r\n".encode()
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert b" 200 " in connection.recv(65536)


def test_a_bucket_that_goes_while_a_file_arrives(
    client: RawClient, api: b2sdk.B2Api, bucket: b2sdk.Bucket
) -> None:
    url = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
    path = url["uploadUrl"].removeprefix(client.running.realm)
    with socket.create_connection(("127.0.0.1", client.running.ready["port"])) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {url['authorizationToken']}\r\n"
            f"X-Bz-File-Name: f\r\nContent-Type: text/plain\r\n"
            f"X-Bz-Content-Sha1: do_not_verify\r\nContent-Length: 5\r\n\r\nhe".encode()
        )
        while not client.running.admin.journal(call="b2_upload_file")[0]["bytes_in"]:
            pass
        api.delete_bucket(bucket)
        connection.sendall(b"llo")
        assert b"bad_bucket_id" in connection.recv(65536)


def test_b2sdk_understands_the_message(b2: Running) -> None:
    from b2sdk._internal.b2http import interpret_b2_error

    error = interpret_b2_error(
        400, "auth_token_limit", "more than one upload using auth token 4_x", {}
    )
    assert isinstance(error, UploadTokenUsedConcurrently)
    error = interpret_b2_error(400, "source_too_large", "Copy source too big: 5000000001", {})
    assert isinstance(error, CopySourceTooBig)
    assert error.size == 5_000_000_001


def test_limits_of_size_and_time() -> None:
    options = ("--max-upload-size", "100", "--account-token-seconds", "1")
    with emulator("--memory", "--bucket", "small-bucket", *options) as running:
        client = RawClient(running)
        client.authorize()
        bucket = client.call("b2_list_buckets", {"accountId": client.account}).json
        bucket_id = bucket["buckets"][0]["bucketId"]
        url = client.call("b2_get_upload_url", {"bucketId": bucket_id}).json
        made = client.upload(url, "f", b"x" * 100)
        assert made.status == 200
        assert client.upload(url, "f", b"x" * 101).code == "bad_request"
        deadline = time.monotonic() + 30
        while True:
            answer = client.call("b2_get_upload_url", {"bucketId": bucket_id})
            if answer.status == 401:
                break
            assert time.monotonic() < deadline
        assert answer.code == "expired_auth_token"
        # b2sdk authorises anew by itself.
        running.api().get_bucket_by_name("small-bucket").upload_bytes(b"y", "g")


def test_a_copy_over_the_limit_is_refused() -> None:
    limits = ("--max-upload-size", "1000", "--min-part-size", "10")
    with emulator("--memory", "--bucket", "small-bucket", *limits) as running:
        bucket = running.api().get_bucket_by_name("small-bucket")
        session = bucket.api.session
        started = session.start_large_file(bucket.id_, "l", "text/plain", {})["fileId"]
        part = bytes(800)
        sha1 = hashlib.sha1(part).hexdigest()
        for number in (1, 2):
            session.upload_part(started, number, 800, sha1, io.BytesIO(part))
        session.finish_large_file(started, [sha1, sha1])
        with pytest.raises(CopySourceTooBig) as refused:
            session.copy_file(started, "copy")
        assert refused.value.size == 1600
        assert session.copy_file(started, "copy", bytes_range=(0, 999))["contentLength"] == 1000


def test_many_uploads_at_once_are_all_there(bucket: b2sdk.Bucket) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: bucket.upload_bytes(b"%d" % n, f"f{n:03d}"), range(200)))
    assert [v.file_name for v, _ in bucket.ls()] == [f"f{n:03d}" for n in range(200)]


NEEDS = {
    "b2_list_buckets": "listBuckets",
    "b2_create_bucket": "writeBuckets",
    "b2_update_bucket": "writeBuckets",
    "b2_delete_bucket": "deleteBuckets",
    "b2_create_key": "writeKeys",
    "b2_list_keys": "listKeys",
    "b2_delete_key": "deleteKeys",
    "b2_get_upload_url": "writeFiles",
    "b2_start_large_file": "writeFiles",
    "b2_get_upload_part_url": "writeFiles",
    "b2_list_parts": "writeFiles",
    "b2_finish_large_file": "writeFiles",
    "b2_cancel_large_file": "writeFiles",
    "b2_hide_file": "writeFiles",
    "b2_copy_file": "readFiles",
    "b2_copy_part": "readFiles",
    "b2_list_file_names": "listFiles",
    "b2_list_file_versions": "listFiles",
    "b2_list_unfinished_large_files": "listFiles",
    "b2_get_file_info": "readFiles",
    "b2_get_download_authorization": "shareFiles",
    "b2_delete_file_version": "deleteFiles",
    "b2_update_file_retention": "writeFileRetentions",
    "b2_update_file_legal_hold": "writeFileLegalHolds",
    "b2_get_bucket_notification_rules": "readBucketNotifications",
    "b2_set_bucket_notification_rules": "writeBucketNotifications",
}


def test_each_call_needs_its_capability(
    client: RawClient, api: b2sdk.B2Api, bucket: b2sdk.Bucket
) -> None:
    """A key with all the others is refused; nothing is changed by that."""
    from b2emulator.calls.all import CALLS

    assert set(NEEDS) == set(CALLS) - {"b2_authorize_account"}
    version = bucket.upload_bytes(b"x", "f")
    large = api.session.start_large_file(bucket.id_, "l", "text/plain", {})["fileId"]
    fields = {
        "accountId": client.account,
        "bucketId": bucket.id_,
        "bucketName": "new-bucket",
        "bucketType": "allPublic",
        "fileId": version.id_,
        "fileName": "f",
        "contentType": "text/plain",
        "sourceFileId": version.id_,
        "largeFileId": large,
        "partNumber": 1,
        "partSha1Array": ["0" * 40],
        "legalHold": "on",
        "fileRetention": {"mode": None},
        "fileNamePrefix": "",
        "validDurationInSeconds": 60,
        "applicationKeyId": "none",
        "keyName": "k",
        "capabilities": ["listFiles"],
        "eventNotificationRules": [],
    }
    about_large = {"b2_get_upload_part_url", "b2_list_parts"} | {
        "b2_finish_large_file",
        "b2_cancel_large_file",
    }
    for capability in sorted(set(NEEDS.values())):
        granted = [
            other
            for other in capabilities.ALL
            if other != capability
            and not (capability == "listBuckets" and other == "listAllBucketNames")
        ]
        key = api.create_key(granted, "all-but-one")
        bearer = RawClient(client.running)
        bearer.authorize(key.id_, key.application_key)
        for call, needed in NEEDS.items():
            if needed == capability:
                file = {"fileId": large} if call in about_large else {}
                refused = bearer.call(call, {**fields, **file})
                of_lock = call.startswith("b2_update_file_")
                expected = (403, "access_denied") if of_lock else (401, "unauthorized")
                assert (refused.status, refused.code) == expected, call
    assert [v.file_name for v, _ in bucket.ls(latest_only=False)] == ["f", "l"]


def test_what_a_key_may_not_read_is_hidden(b2: Running, api: b2sdk.B2Api) -> None:
    bucket = b2.bucket("hidden-lock-bucket", is_file_lock_enabled=True)
    version = bucket.upload_bytes(b"x", "f", legal_hold=b2sdk.LegalHold.ON)
    key = api.create_key(["listBuckets", "listFiles", "readFiles"], "plain")
    plain = b2.api(key.id_, key.application_key)
    assert plain.get_file_info(version.id_).legal_hold is b2sdk.LegalHold.UNKNOWN
    seen = plain.get_bucket_by_name(bucket.name)
    assert seen.default_server_side_encryption.mode is b2sdk.EncryptionMode.UNKNOWN
    assert seen.is_file_lock_enabled is None
    head = seen.get_file_info_by_name("f")
    assert head.legal_hold is b2sdk.LegalHold.UNKNOWN
    version.update_legal_hold(b2sdk.LegalHold.OFF)


def test_lifecycle_rules_when_asked(b2: Running, bucket: b2sdk.Bucket) -> None:
    day = 86_400_000
    now = int(time.time() * 1000)
    bucket.update(
        lifecycle_rules=[
            {
                "fileNamePrefix": "logs/",
                "daysFromUploadingToHiding": 2,
                "daysFromHidingToDeleting": 3,
                "daysFromStartingToCancelingUnfinishedLargeFiles": 1,
            }
        ]
    )
    bucket.upload_bytes(b"1", "logs/a")
    bucket.upload_bytes(b"1", "other/a")
    bucket.api.session.start_large_file(bucket.id_, "logs/l", "text/plain", {})

    def apply(days: float) -> dict[str, int]:
        return b2.admin.apply_lifecycle(bucket.name, int(now + days * day) + 60_000)

    assert apply(0.5) == {"hidden": 0, "deleted": 0, "cancelled": 0}
    assert apply(1) == {"hidden": 0, "deleted": 0, "cancelled": 1}
    assert apply(2) == {"hidden": 1, "deleted": 0, "cancelled": 0}
    assert apply(4) == {"hidden": 0, "deleted": 0, "cancelled": 0}
    assert apply(6) == {"hidden": 0, "deleted": 2, "cancelled": 0}
    assert [v.file_name for v, _ in bucket.ls(latest_only=False, recursive=True)] == ["other/a"]


def test_the_test_mode_header(client: RawClient, bucket: b2sdk.Bucket) -> None:
    sent = {"Authorization": client.token, "X-Bz-Test-Mode": "force_cap_exceeded"}
    body = b'{"bucketId": "%s"}' % bucket.id_.encode()
    refused = client.request("POST", "/b2api/v4/b2_get_upload_url", sent, body)
    assert (refused.status, refused.code) == (403, "cap_exceeded")
    sent["X-Bz-Test-Mode"] = "expire_some_account_authorization_tokens"
    codes = {
        client.request("POST", "/b2api/v4/b2_get_upload_url", sent, body).code for _ in range(200)
    }
    assert codes == {None, "expired_auth_token"}


def test_what_waits_to_be_replicated(client: RawClient, bucket: b2sdk.Bucket) -> None:
    """A file under a rule, unless it is encrypted with its owner's key."""
    rule = {
        "destinationBucketId": bucket.id_,
        "fileNamePrefix": "one/",
        "includeExistingFiles": False,
        "isEnabled": True,
        "priority": 1,
        "replicationRuleName": "rule-one",
    }
    source = {"replicationRules": [rule], "sourceApplicationKeyId": "a-key"}
    fields = {"accountId": client.account, "bucketId": bucket.id_}
    update = {**fields, "replicationConfiguration": {"asReplicationSource": source}}
    assert client.call("b2_update_bucket", update).status == 200
    own = b2sdk.EncryptionSetting(
        b2sdk.EncryptionMode.SSE_C,
        b2sdk.EncryptionAlgorithm.AES256,
        b2sdk.EncryptionKey(bytes(32), "the-key"),
    )
    bucket.upload_bytes(b"x", "one/a")
    bucket.upload_bytes(b"x", "one/b", encryption=own)
    bucket.upload_bytes(b"x", "two/a")
    files = client.call("b2_list_file_names", {"bucketId": bucket.id_}).json["files"]
    found = {file["fileName"]: file["replicationStatus"] for file in files}
    assert found == {"one/a": "pending", "one/b": None, "two/a": None}
    none = {"asReplicationSource": None, "asReplicationDestination": None}
    cleared = client.call("b2_update_bucket", {**fields, "replicationConfiguration": none}).json
    assert cleared["replicationConfiguration"]["value"] is None
