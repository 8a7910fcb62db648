"""Every call and every error, request and answer, compared with what is recorded.

The recordings are of this emulator, read through against B2's documentation and
b2sdk; they are not Backblaze's traffic. What they guard is that an answer does not
change unseen. After a wanted change:

    B2EMULATOR_RECORD=1 pytest tests/contract/emulator_suite/test_emulator_recorded.py
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from b2emulator.calls.all import CALLS
from support.emulator_process import emulator
from support.raw_client import RawClient, stable

FOLDER = Path(__file__).parent / "recorded"
PART = b"p" * 1000
SCENARIOS: dict[str, Callable[[RawClient], None]] = {}


def scenario(function: Callable[[RawClient], None]) -> Callable[[RawClient], None]:
    SCENARIOS[function.__name__] = function
    return function


def make_bucket(client: RawClient, name: str = "first-bucket", **fields: Any) -> str:
    wanted = {"accountId": client.account, "bucketName": name, "bucketType": "allPrivate", **fields}
    return str(client.call("b2_create_bucket", wanted).json["bucketId"])


def upload_url(client: RawClient, bucket: str) -> dict[str, str]:
    answer: dict[str, str] = client.call("b2_get_upload_url", {"bucketId": bucket}).json
    return answer


@scenario
def account(client: RawClient) -> None:
    for version in (1, 2, 3, 4):
        client.version = version
        client.authorize()
    assert client.authorize(secret="wrong").code == "bad_auth_token"
    assert client.call("b2_authorize_account", {}, token="Bearer x").status == 401
    assert client.call("b2_list_buckets", {}, token="").code == "bad_auth_token"
    assert client.call("b2_list_buckets", {}, token="4_eyJmYWtlIn0_x").code == "bad_auth_token"


@scenario
def buckets(client: RawClient) -> None:
    mine = {"accountId": client.account}
    bucket = make_bucket(client)
    make_bucket(client, "second-bucket", bucketInfo={"a": "b"}, bucketType="allPublic")
    for version in (1, 2, 3, 4):
        client.version = version
        client.call("b2_list_buckets", mine)
    client.call("b2_list_buckets", {**mine, "bucketName": "second-bucket"})
    client.call("b2_list_buckets", {**mine, "bucketTypes": ["allPublic"]})
    change = {**mine, "bucketId": bucket}
    rules = [{"fileNamePrefix": "a/", "daysFromHidingToDeleting": 1}]
    client.call("b2_update_bucket", {**change, "bucketType": "allPublic", "lifecycleRules": rules})
    for wrong in (
        {**change, "ifRevisionIs": 1, "bucketType": "allPublic"},
        {**change, "bucketType": "allSorts"},
        {**change, "lifecycleRules": [*rules, {**rules[0], "fileNamePrefix": "a/b"}]},
        {**change, "lifecycleRules": [{"daysFromHidingToDeleting": 1}]},
        {**change, "defaultServerSideEncryption": {"mode": "SSE-C"}},
        {**change, "defaultRetention": {"mode": "governance", "period": None}},
        {"accountId": client.account, "bucketType": "allPublic"},
        {**change, "accountId": "0123456789ab"},
    ):
        assert client.call("b2_update_bucket", wrong).status >= 400
    create = {**mine, "bucketType": "allPrivate"}
    assert client.call("b2_create_bucket", {**create, "bucketName": "X Y"}).status == 400
    taken = client.call("b2_create_bucket", {**create, "bucketName": "first-bucket"})
    assert taken.code == "duplicate_bucket_name"
    client.upload(upload_url(client, bucket), "f", b"x")
    assert client.call("b2_delete_bucket", change).code == "cannot_delete_non_empty_bucket"
    gone = {**mine, "bucketId": "0" * 24}
    assert client.call("b2_delete_bucket", gone).code == "bad_bucket_id"
    empty = make_bucket(client, "empty-bucket")
    assert client.call("b2_delete_bucket", {**mine, "bucketId": empty}).status == 200


@scenario
def keys(client: RawClient) -> None:
    bucket = make_bucket(client)
    wanted = {"accountId": client.account, "capabilities": ["listFiles"], "keyName": "k"}
    client.version = 3
    client.call("b2_create_key", {**wanted, "bucketId": bucket, "namePrefix": "a/"})
    client.version = 4
    made = client.call("b2_create_key", {**wanted, "bucketIds": [bucket]}).json
    lasting = client.call("b2_create_key", {**wanted, "validDurationInSeconds": 1000})
    assert lasting.json["expirationTimestamp"] > time.time() * 1000
    for version in (3, 4):
        client.version = version
        client.call("b2_list_keys", {"accountId": client.account, "maxKeyCount": 2})
    for wrong in (
        {**wanted, "capabilities": ["everything"]},
        {**wanted, "capabilities": []},
        {**wanted, "keyName": "no spaces here"},
        {**wanted, "validDurationInSeconds": 0},
        {**wanted, "bucketIds": ["0" * 24]},
        {**wanted, "bucketIds": [bucket], "capabilities": ["listKeys"]},
        {**wanted, "namePrefix": "a/"},
    ):
        assert client.call("b2_create_key", wrong).status == 400
    bearer = RawClient(client.running, transcript=client.transcript)
    bearer.authorize(made["applicationKeyId"], made["applicationKey"])
    refused = bearer.call("b2_get_upload_url", {"bucketId": bucket})
    assert (refused.status, refused.code) == (401, "unauthorized")
    delete = {"applicationKeyId": made["applicationKeyId"]}
    assert client.call("b2_delete_key", delete).status == 200
    assert client.call("b2_delete_key", delete).status == 400
    assert bearer.call("b2_list_file_names", {"bucketId": bucket}).code == "bad_auth_token"


@scenario
def uploads(client: RawClient) -> None:
    bucket = make_bucket(client)
    url = upload_url(client, bucket)
    client.upload(url, "plain", b"hello", X_Bz_Info_Key="a%20value+%C3%A9")
    client.upload(
        url,
        "at-end",
        b"hello" + hashlib.sha1(b"hello").hexdigest().encode(),
        X_Bz_Content_Sha1="hex_digits_at_end",
    )
    client.upload(url, "unverified", b"hello", X_Bz_Content_Sha1="do_not_verify")
    client.upload(url, "auto.png", b"hello", Content_Type="b2/x-auto")
    client.upload(url, "timed", b"hello", X_Bz_Custom_Upload_Timestamp="1000")
    for version in (1, 2, 3):
        client.version = version
        client.upload(upload_url(client, bucket), f"v{version}", b"hello")
    client.version = 4
    for name, headers in (
        ("wrong", {"X_Bz_Content_Sha1": "0" * 40}),
        ("wrong", {"X_Bz_Content_Sha1": "not a digest"}),
        ("wrong", {"X_Bz_Content_Sha1": ""}),
        ("a%00b", {}),
        ("a%7Fb", {}),
        ("%FF%FE", {}),
        ("", {}),
        ("n" * 1025, {}),
        ("f", {"X_Bz_Info_b2_own": "x"}),
        ("f", {f"X_Bz_Info_k{n}": "x" for n in range(11)}),
        ("f", {"X_Bz_Info_long": "x" * 7000}),
        ("f", {"Content_Type": ""}),
        ("f", {"X_Bz_Server_Side_Encryption": "ROT13"}),
        ("f", {"X_Bz_File_Legal_Hold": "on"}),
        ("f", {"X_Bz_Custom_Upload_Timestamp": "soon"}),
    ):
        url = upload_url(client, bucket)
        assert client.upload(url, name, b"hello", **headers).status == 400, (name, headers)
    # That last rejection was the end of its URL.
    assert client.upload(url, "f", b"hello").code == "bad_auth_token"
    url = upload_url(client, bucket)
    assert client.upload({**url, "authorizationToken": client.token}, "f", b"x").status == 401
    other = upload_url(client, make_bucket(client, "other-bucket"))
    mixed = {**url, "authorizationToken": other["authorizationToken"]}
    assert client.upload(mixed, "f", b"x").status == 401


@scenario
def files(client: RawClient) -> None:
    bucket = make_bucket(client)
    url = upload_url(client, bucket)
    made = client.upload(url, "f", b"hello").json
    by_id = {"fileId": made["fileId"]}
    for version in (1, 4):
        client.version = version
        client.call("b2_get_file_info", by_id)
    missing = made["fileId"].replace("_f1", "_f1000000ff")[: len(made["fileId"])]
    assert client.call("b2_get_file_info", {"fileId": "nonsense"}).code == "bad_request"
    assert client.call("b2_get_file_info", {}).code == "bad_request"
    hide = {"bucketId": bucket, "fileName": "f"}
    assert client.call("b2_hide_file", hide).json["action"] == "hide"
    assert client.call("b2_hide_file", hide).code == "already_hidden"
    assert client.call("b2_hide_file", {**hide, "fileName": "g"}).code == "no_such_file"
    delete = {**by_id, "fileName": "f"}
    wrong_name = client.call("b2_delete_file_version", {**delete, "fileName": "g"})
    assert wrong_name.code == "file_not_present"
    assert client.call("b2_delete_file_version", delete).status == 200
    assert client.call("b2_delete_file_version", delete).code == "file_not_present"
    assert client.call("b2_get_file_info", by_id).code == "not_found"
    assert client.get(f"/b2api/v4/b2_get_file_info?fileId={made['fileId']}").code == "not_found"
    assert missing != made["fileId"]


@scenario
def listings(client: RawClient) -> None:
    bucket = make_bucket(client)
    url = upload_url(client, bucket)
    for name in ("a/1", "a/2", "b", "b", "c/d/1"):
        client.upload(url, name, name.encode())
    client.call("b2_hide_file", {"bucketId": bucket, "fileName": "a/1"})
    started = client.call(
        "b2_start_large_file", {"bucketId": bucket, "fileName": "l", "contentType": "text/plain"}
    )
    assert started.status == 200
    wanted = {"bucketId": bucket}
    for version in (1, 4):
        client.version = version
        client.call("b2_list_file_names", {**wanted, "maxFileCount": 2})
    client.call("b2_list_file_names", {**wanted, "delimiter": "/", "maxFileCount": 2})
    client.call("b2_list_file_names", {**wanted, "prefix": "c/", "delimiter": "/"})
    page = client.call("b2_list_file_versions", {**wanted, "maxFileCount": 3}).json
    rest = {"startFileName": page["nextFileName"], "startFileId": page["nextFileId"]}
    client.call("b2_list_file_versions", {**wanted, **rest})
    client.call("b2_list_unfinished_large_files", wanted)
    client.get(f"/b2api/v4/b2_list_file_names?bucketId={bucket}&maxFileCount=1")
    for wrong in (
        {**wanted, "maxFileCount": 10_001},
        {**wanted, "maxFileCount": -1},
        {**wanted, "maxFileCount": "many"},
        {**wanted, "prefix": 7},
        {"bucketId": "0" * 24},
        {},
    ):
        assert client.call("b2_list_file_names", wrong).status == 400
    start = {**wanted, "startFileId": page["nextFileId"]}
    assert client.call("b2_list_file_versions", start).code == "bad_request"


@scenario
def large_files(client: RawClient) -> None:
    bucket = make_bucket(client)
    start = {"bucketId": bucket, "fileName": "l", "contentType": "b2/x-auto"}
    made = client.call("b2_start_large_file", {**start, "fileInfo": {"Key": "v"}}).json
    by_id = {"fileId": made["fileId"]}
    url = client.call("b2_get_upload_part_url", by_id).json
    client.upload_part(url, 1, PART)
    ended = PART + hashlib.sha1(PART).hexdigest().encode()
    client.upload_part(url, 1, ended, X_Bz_Content_Sha1="hex_digits_at_end")
    client.upload_part(url, 2, b"rest", X_Bz_Content_Sha1="do_not_verify")
    client.call("b2_list_parts", {**by_id, "maxPartCount": 1})
    sha1s = [hashlib.sha1(data).hexdigest() for data in (PART, b"rest")]
    finish = {**by_id, "partSha1Array": sha1s}
    for number in (0, 10_001, "x"):
        fresh = client.call("b2_get_upload_part_url", by_id).json
        assert client.upload_part(fresh, number, PART).status == 400
    fresh = client.call("b2_get_upload_part_url", by_id).json
    assert client.upload_part(fresh, 1, b"").status == 400
    three = {**by_id, "partSha1Array": [*sha1s, sha1s[0]]}
    assert client.call("b2_finish_large_file", three).code == "missing_part"
    swapped = {**by_id, "partSha1Array": sha1s[::-1]}
    assert client.call("b2_finish_large_file", swapped).code == "part_sha1_mismatch"
    one = {**by_id, "partSha1Array": sha1s[:1]}
    assert client.call("b2_finish_large_file", one).code == "bad_request"
    assert client.call("b2_finish_large_file", by_id).code == "bad_request"
    assert client.call("b2_finish_large_file", finish).json["contentSha1"] == "none"
    assert client.call("b2_finish_large_file", finish).status == 400
    assert client.upload_part(url, 3, PART).status == 400
    again = client.call("b2_start_large_file", start).json
    client.call("b2_cancel_large_file", {"fileId": again["fileId"]})
    assert client.call("b2_list_parts", {"fileId": again["fileId"]}).status == 400


@scenario
def copies(client: RawClient) -> None:
    bucket = make_bucket(client)
    source = client.upload(upload_url(client, bucket), "s", b"0123456789").json["fileId"]
    copy = {"sourceFileId": source, "fileName": "t"}
    client.call("b2_copy_file", copy)
    client.call("b2_copy_file", {**copy, "range": "bytes=2-4"})
    replace = {"metadataDirective": "REPLACE", "contentType": "text/x", "fileInfo": {"a": "b"}}
    client.call("b2_copy_file", {**copy, **replace})
    large = client.call(
        "b2_start_large_file", {"bucketId": bucket, "fileName": "l", "contentType": "text/plain"}
    ).json["fileId"]
    part = {"sourceFileId": source, "largeFileId": large, "partNumber": 1}
    client.call("b2_copy_part", {**part, "range": "bytes=0-3"})
    for call, wrong in (
        ("b2_copy_file", {**copy, "contentType": "text/x"}),
        ("b2_copy_file", {**copy, "metadataDirective": "REPLACE"}),
        ("b2_copy_file", {**copy, "metadataDirective": "MIX"}),
        ("b2_copy_file", {**copy, "range": "bytes=5-90"}),
        ("b2_copy_file", {**copy, "range": "5-9"}),
        ("b2_copy_file", {**copy, "sourceFileId": large}),
        ("b2_copy_file", {**copy, "destinationBucketId": "0" * 24}),
        ("b2_copy_part", {**part, "partNumber": 0}),
        ("b2_copy_part", {**part, "largeFileId": source}),
    ):
        assert client.call(call, wrong).status >= 400


@scenario
def downloads(client: RawClient) -> None:
    bucket = make_bucket(client)
    url = upload_url(client, bucket)
    made = client.upload(
        url,
        "a%20dir/f.txt",
        b"0123456789",
        X_Bz_Info_Color="blue",
        X_Bz_Info_b2_content_disposition="inline",
    ).json
    empty = client.upload(url, "empty", b"").json["fileId"]
    path, by_id = "/file/first-bucket/a%20dir/f.txt", "/b2api/v4/b2_download_file_by_id?fileId="
    client.get(path)
    client.get(path, method="HEAD")
    client.get(by_id + made["fileId"])
    client.call("b2_download_file_by_id", {"fileId": made["fileId"]})
    for wanted in ("bytes=2-4", "bytes=7-", "bytes=-3", "bytes=5-900", "bytes=x", "bytes=4-2"):
        assert client.get(path, Range=wanted).status in (200, 206)
    client.get(f"{path}?b2ContentDisposition=attachment&b2ContentType=text/html")
    client.get(f"{path}?b2CacheControl=no-store&b2Expires=never&b2ContentLanguage=de")
    client.get(by_id + empty)
    share = {"bucketId": bucket, "fileNamePrefix": "a dir/", "validDurationInSeconds": 60}
    token = client.call("b2_get_download_authorization", share).json["authorizationToken"]
    fixed = client.call(
        "b2_get_download_authorization", {**share, "b2ContentDisposition": "attachment"}
    ).json["authorizationToken"]
    assert client.get(f"{path}?Authorization={token}", token="").status == 200
    assert client.get(path, token=token).status == 200
    assert client.get(path, token=fixed).code == "unauthorized"
    assert client.get(f"{path}?b2ContentDisposition=attachment", token=fixed).status == 200
    assert client.get("/file/first-bucket/empty", token=token).code == "unauthorized"
    assert client.get(path, token="").code == "unauthorized"
    assert client.get(path, token="nonsense").code == "bad_auth_token"
    assert client.get(path, Range="bytes=10-").code == "range_not_satisfiable"
    assert client.get(by_id + empty, Range="bytes=0-").code == "range_not_satisfiable"
    assert client.get("/file/first-bucket/none").code == "not_found"
    assert client.get("/file/no-bucket/f").code == "not_found"
    assert client.get(by_id + "nonsense").code == "bad_request"
    assert client.get(path, method="HEAD", token="").status == 401
    for seconds in (0, 604_801):
        wrong = {**share, "validDurationInSeconds": seconds}
        assert client.call("b2_get_download_authorization", wrong).code == "bad_request"


@scenario
def locks(client: RawClient) -> None:
    bucket = make_bucket(client, "locked-bucket", fileLockEnabled=True)
    plain = make_bucket(client, "plain-bucket")
    until = 4_000_000_000_000
    url = upload_url(client, bucket)
    made = client.upload(
        url,
        "f",
        b"x",
        X_Bz_File_Retention_Mode="governance",
        X_Bz_File_Retention_Retain_Until_Timestamp=str(until),
        X_Bz_File_Legal_Hold="on",
    ).json
    file = {"fileId": made["fileId"], "fileName": "f"}
    client.get("/file/locked-bucket/f", method="HEAD")
    assert client.call("b2_delete_file_version", file).code == "access_denied"
    client.call("b2_update_file_legal_hold", {**file, "legalHold": "off"})
    assert client.call("b2_delete_file_version", file).code == "access_denied"
    longer = {"mode": "governance", "retainUntilTimestamp": until + 1}
    client.call("b2_update_file_retention", {**file, "fileRetention": longer})
    shorter = {**longer, "retainUntilTimestamp": until - 1}
    weaker = client.call("b2_update_file_retention", {**file, "fileRetention": shorter})
    assert weaker.code == "access_denied"
    bypass = {**file, "fileRetention": shorter, "bypassGovernance": True}
    assert client.call("b2_update_file_retention", bypass).status == 200
    for wrong in (
        {**file, "legalHold": "maybe"},
        {**file, "fileName": "g", "legalHold": "on"},
    ):
        assert client.call("b2_update_file_legal_hold", wrong).status == 400
    past = {"mode": "compliance", "retainUntilTimestamp": 1}
    assert client.call("b2_update_file_retention", {**file, "fileRetention": past}).status == 400
    unlocked = client.upload(upload_url(client, plain), "f", b"x").json["fileId"]
    hold = {"fileId": unlocked, "fileName": "f", "legalHold": "on"}
    assert client.call("b2_update_file_legal_hold", hold).code == "bucket_missing_file_lock"
    off = {"accountId": client.account, "bucketId": bucket, "fileLockEnabled": False}
    assert client.call("b2_update_bucket", off).code == "file_lock_conflict"
    assert client.call("b2_delete_file_version", {**file, "bypassGovernance": True}).status == 200


@scenario
def encryption(client: RawClient) -> None:
    bucket = make_bucket(
        client, defaultServerSideEncryption={"mode": "SSE-B2", "algorithm": "AES256"}
    )
    client.upload(upload_url(client, bucket), "default", b"x")
    key = b"k" * 32
    customer = {
        "X_Bz_Server_Side_Encryption_Customer_Algorithm": "AES256",
        "X_Bz_Server_Side_Encryption_Customer_Key": base64.b64encode(key).decode(),
        "X_Bz_Server_Side_Encryption_Customer_Key_Md5": base64.b64encode(
            hashlib.md5(key).digest()
        ).decode(),
    }
    client.upload(upload_url(client, bucket), "own", b"x", **customer)
    assert client.get("/file/first-bucket/own", **customer).status == 200
    assert client.get("/file/first-bucket/own").code == "bad_request"
    other = base64.b64encode(b"o" * 32).decode()
    md5 = base64.b64encode(hashlib.md5(b"o" * 32).digest()).decode()
    others = {
        **customer,
        "X_Bz_Server_Side_Encryption_Customer_Key": other,
        "X_Bz_Server_Side_Encryption_Customer_Key_Md5": md5,
    }
    assert client.get("/file/first-bucket/own", **others).code == "access_denied"
    assert client.get("/file/first-bucket/default", **customer).code == "bad_request"
    wrong = {**customer, "X_Bz_Server_Side_Encryption_Customer_Key_Md5": "AAAA"}
    assert client.upload(upload_url(client, bucket), "own", b"x", **wrong).code == "bad_request"


@scenario
def notifications(client: RawClient) -> None:
    bucket = make_bucket(client)
    rule = {
        "name": "r",
        "eventTypes": ["b2:ObjectCreated:*"],
        "isEnabled": True,
        "objectNamePrefix": "",
        "targetConfiguration": {"targetType": "webhook", "url": "https://example.com/"},
    }
    client.call(
        "b2_set_bucket_notification_rules", {"bucketId": bucket, "eventNotificationRules": [rule]}
    )
    client.get(f"/b2api/v4/b2_get_bucket_notification_rules?bucketId={bucket}")
    empty = {"bucketId": bucket, "eventNotificationRules": [{**rule, "eventTypes": []}]}
    assert client.call("b2_set_bucket_notification_rules", empty).code == "event_types_empty"


@scenario
def malformed(client: RawClient) -> None:
    assert client.call("b2_list_buckets", b"{not json").code == "bad_json"
    assert client.call("b2_list_buckets", b"[]").code == "bad_json"
    assert client.call("b2_no_such_call", {}).status == 404
    assert client.get("/b2api/v9/b2_list_buckets").status == 400
    assert client.get("/nowhere").status == 404
    assert client.get("/file/only-a-bucket").status == 404
    assert client.get("/b2api/v4/b2_list_buckets", method="DELETE").status == 405


@scenario
def faults(client: RawClient) -> None:
    """The rows of the table of errors that only a fault brings about."""
    admin = client.running.admin
    bucket = make_bucket(client)
    for fault, options in (
        ("service_unavailable", {"retry_after": 3}),
        ("service_unavailable", {}),
        ("internal_error", {}),
        ("too_many_requests", {"retry_after": 2}),
        ("request_timeout", {}),
        ("expired_auth_token", {}),
        ("bad_auth_token", {}),
        ("unauthorized", {}),
        ("storage_cap_exceeded", {}),
        ("transaction_cap_exceeded", {}),
        ("download_cap_exceeded", {}),
        ("cap_exceeded", {}),
        ("access_denied", {}),
        ("not_found", {}),
        ("error", {"status": 418, "code": "teapot", "message": "short and stout"}),
    ):
        admin.fault(fault, calls="b2_get_upload_url", next=1, **options)
        answer = client.call("b2_get_upload_url", {"bucketId": bucket})
        assert answer.status >= 400, fault
        assert answer.headers.get("retry-after") == (
            str(options["retry_after"]) if "retry_after" in options else None
        )
    assert client.call("b2_get_upload_url", {"bucketId": bucket}).status == 200


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_exchanges_are_as_recorded(name: str) -> None:
    with emulator("--memory", "--min-part-size", "1000") as running:
        client = RawClient(running)
        client.authorize()
        client.transcript.clear()
        SCENARIOS[name](client)
        found = stable(client.transcript)
    path = FOLDER / f"{name}.json"
    if os.environ.get("B2EMULATOR_RECORD"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    recorded = json.loads(path.read_text())
    assert [e["request"]["line"] for e in found] == [e["request"]["line"] for e in recorded]
    for number, (now, then) in enumerate(zip(found, recorded, strict=True)):
        assert now == then, f"exchange {number}"


def test_every_call_is_recorded_with_success_and_error() -> None:
    good: set[str] = set()
    bad: set[str] = set()
    for path in FOLDER.glob("*.json"):
        for exchange in json.loads(path.read_text()):
            line = exchange["request"]["line"]
            call = next((part for part in line.split("/") if part.startswith("b2_")), "")
            call = call.partition("?")[0]
            if "/file/" in line:
                call = "b2_download_file_by_name"
            (good if exchange["response"]["status"] < 400 else bad).add(call)
    everything = {
        *CALLS,
        *("b2_upload_file", "b2_upload_part"),
        *("b2_download_file_by_id", "b2_download_file_by_name"),
    }
    assert everything - good == set()
    without_error_of_its_own = {
        *("b2_cancel_large_file", "b2_get_upload_part_url", "b2_start_large_file"),
        *("b2_list_unfinished_large_files", "b2_list_keys", "b2_get_bucket_notification_rules"),
    }
    assert everything - bad <= without_error_of_its_own


def test_every_error_of_the_table_is_recorded() -> None:
    """The rows of the facts page that a job has to tell apart."""
    wanted = {
        *((400, "bad_request"), (400, "bad_json"), (400, "bad_bucket_id")),
        *((400, "part_sha1_mismatch"), (400, "missing_part")),
        *((400, "no_such_file"), (400, "file_not_present"), (404, "not_found")),
        *((400, "already_hidden"), (400, "duplicate_bucket_name")),
        *((401, "bad_auth_token"), (401, "expired_auth_token"), (401, "unauthorized")),
        *((403, "storage_cap_exceeded"), (403, "transaction_cap_exceeded")),
        *((403, "download_cap_exceeded"), (403, "cap_exceeded"), (403, "access_denied")),
        *((408, "request_timeout"), (409, "conflict"), (416, "range_not_satisfiable")),
        *((429, "too_many_requests"), (500, "internal_error"), (503, "service_unavailable")),
    }
    found = {
        (e["response"]["status"], e["response"]["body"]["code"])
        for path in FOLDER.glob("*.json")
        for e in json.loads(path.read_text())
        if e["response"]["status"] >= 400 and e["response"]["body"]
    }
    # auth_token_limit and source_too_large need two uploads at once and 5 GB: other tests.
    assert wanted - found == set()
