"""Whatever a client sends, the answer is B2's: a 4xx with status, code and message."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from b2emulator.calls.all import CALLS
from b2emulator.local import LocalB2, LocalBucket

ANY_TIMES = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONG = "9" * 4300


@pytest.fixture(scope="module")
def server() -> Iterator[LocalB2]:
    with LocalB2("--memory", "--max-buckets", "1000", "--min-part-size", "10") as running:
        yield running


@pytest.fixture(scope="module")
def bucket(server: LocalB2) -> LocalBucket:
    return server.create_bucket()


def connect(server: LocalB2) -> socket.socket:
    place = urlsplit(server.realm)
    return socket.create_connection((place.hostname or "", place.port or 0), timeout=20)


def exchange(server: LocalB2, request: bytes) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer to these very bytes."""
    with connect(server) as connection:
        connection.sendall(request)
        received = b""
        while block := connection.recv(1 << 16):
            received += block
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/json" in head, received[:500]
    return int(head.split()[1]), json.loads(body)


def is_refusal(status: int, answer: dict[str, Any]) -> bool:
    return 400 <= status < 500 and answer.keys() == {"status", "code", "message"}


def post(server: LocalB2, call: str, body: bytes, *more: bytes) -> tuple[int, dict[str, Any]]:
    head = [
        f"POST /b2api/v4/{call} HTTP/1.1".encode(),
        b"Host: localhost",
        b"Authorization: " + token(server).encode(),
        b"Connection: close",
        *more,
    ]
    if not any(line.lower().startswith(b"transfer-encoding") for line in more):
        head.append(b"Content-Length: %d" % len(body))
    return exchange(server, b"\r\n".join(head) + b"\r\n\r\n" + body)


def token(server: LocalB2) -> str:
    return str(server._authorise()["authorizationToken"])


def chunked(body: bytes) -> bytes:
    return b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"9" * 5000 + b"}",
        b"null",
        b'"text"',
        b"{",
    ],
    ids=range(13),
)
def test_what_is_no_json_of_b2(server: LocalB2, body: bytes) -> None:
    status, answer = post(server, "b2_list_buckets", body)
    assert (status, answer["code"]) == (400, "bad_json")


@pytest.mark.parametrize("send_chunked", [False, True])
def test_json_is_taken_up_to_our_limit_and_refused_above(
    server: LocalB2, bucket: LocalBucket, send_chunked: bool
) -> None:
    how = (b"Transfer-Encoding: chunked",) if send_chunked else ()

    def send(size: int) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"bucketId": bucket.id, "prefix": "x" * size}).encode()
        return post(server, "b2_list_file_names", chunked(body) if send_chunked else body, *how)

    assert send(3_000_000)[0] == 200
    status, answer = send(9_000_000)
    assert is_refusal(status, answer)
    assert "over" in answer["message"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nLong: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /file/b/ü HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        b"GET /file/b/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /file/b/%ff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /file/b/f HTTP/1.1\r\nHost: a\r\nX-Any: \xff\xfe\r\n\r\n",
        b"POST /b2api/v4/b2_list_buckets HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /b2api/v4/b2_list_buckets HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=range(11),
)
def test_what_is_no_http_of_b2(server: LocalB2, request_bytes: bytes) -> None:
    status, answer = exchange(server, request_bytes)
    assert is_refusal(status, answer), answer


UPLOAD = {
    "X-Bz-File-Name": "f",
    "Content-Type": "text/plain",
    "X-Bz-Content-Sha1": "do_not_verify",
}


def upload(server: LocalB2, bucket: LocalBucket, **headers: bytes) -> tuple[int, dict[str, Any]]:
    url = server.call("b2_get_upload_url", {"bucketId": bucket.id})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {**{name: value.encode() for name, value in UPLOAD.items()}, **named}
    lines = [
        f"POST {urlsplit(url['uploadUrl']).path} HTTP/1.1".encode(),
        *(b"Host: localhost", b"Connection: close", b"Content-Length: 1"),
        b"Authorization: " + url["authorizationToken"].encode(),
        *(name.encode() + b": " + value for name, value in sent.items()),
    ]
    return exchange(server, b"\r\n".join(lines) + b"\r\n\r\nx")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X_Bz_File_Name", b"\xff"),
        ("X_Bz_File_Name", b"%ff"),
        ("X_Bz_File_Name", b"%00"),
        ("X_Bz_Info_a", b"%00"),
        ("X_Bz_Info_b2_cache_control", b"a%0d%0ab"),
        ("X_Bz_Info_b2_content_disposition", b"%7f"),
        ("X_Bz_Custom_Upload_Timestamp", b"123456789012345"),
        ("X_Bz_Custom_Upload_Timestamp", "²".encode()),
        ("X_Bz_Custom_Upload_Timestamp", LONG.encode()),
        ("X_Bz_Custom_Upload_Timestamp", b"-1"),
        ("X_Bz_File_Retention_Retain_Until_Timestamp", LONG.encode()),
        ("X_Bz_File_Retention_Retain_Until_Timestamp", b"4000000000000"),
        ("X_Bz_File_Retention_Mode", b"governance"),
        ("X_Bz_Server_Side_Encryption_Customer_Key", b"AAAA"),
        ("X_Bz_Server_Side_Encryption_Customer_Key_Md5", b"AAAA"),
        ("X_Bz_Server_Side_Encryption", b"aes"),
        ("Content_Type", b"x" * 300),
    ],
)
def test_headers_of_uploads_that_are_refused(
    server: LocalB2, bucket: LocalBucket, header: str, value: bytes
) -> None:
    status, answer = upload(server, bucket, **{header: value})
    assert is_refusal(status, answer), answer
    assert server.call("b2_list_file_versions", {"bucketId": bucket.id})["files"] == []


def test_info_takes_line_breaks_and_text(server: LocalB2) -> None:
    bucket = server.create_bucket()
    status, answer = upload(server, bucket, X_Bz_Info_note=b"one%0Atwo%C3%BC")
    assert (status, answer["fileInfo"]) == (200, {"note": "one\ntwoü"})


@pytest.mark.parametrize("number", ["²", LONG, "-1", "1.5", "0", "0x1", "100000", ""])
def test_part_numbers_that_are_none(server: LocalB2, bucket: LocalBucket, number: str) -> None:
    wanted = {"bucketId": bucket.id, "fileName": "l", "contentType": "text/plain"}
    started = {"fileId": server.call("b2_start_large_file", wanted)["fileId"]}
    url = server.call("b2_get_upload_part_url", started)
    path = urlsplit(url["uploadUrl"]).path
    request = (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {url['authorizationToken']}\r\n"
        f"X-Bz-Content-Sha1: do_not_verify\r\nX-Bz-Part-Number: {number}\r\n"
        "Content-Length: 1\r\nConnection: close\r\n\r\nx"
    ).encode()
    status, answer = exchange(server, request)
    server.call("b2_cancel_large_file", started)
    assert is_refusal(status, answer), answer


RULE = {"fileNamePrefix": "a"}
WEBHOOK = {"targetType": "webhook", "url": "https://127.0.0.1/"}
EVENT_RULE = {
    "name": "rule-1",
    "eventTypes": ["b2:ObjectCreated:*"],
    "isEnabled": True,
    "objectNamePrefix": "",
    "targetConfiguration": WEBHOOK,
}
CORS = {
    "corsRuleName": "rule-1",
    "allowedOrigins": ["*"],
    "allowedOperations": ["b2_upload_file"],
    "maxAgeSeconds": 10,
}
COPIED = {
    "replicationRuleName": "r",
    "destinationBucketId": "d",
    "fileNamePrefix": "",
    "isEnabled": True,
    "includeExistingFiles": False,
    "priority": 1,
}


def replicated(*rules: object) -> dict[str, object]:
    source = {"replicationRules": list(rules), "sourceApplicationKeyId": "k"}
    return {"replicationConfiguration": {"asReplicationSource": source}}


@pytest.mark.parametrize(
    "change",
    [
        {"lifecycleRules": [{**RULE, "daysFromHidingToDeleting": True}]},
        {"lifecycleRules": [{**RULE, "daysFromHidingToDeleting": 10**400}]},
        {"lifecycleRules": [{**RULE, "daysFromHidingToDeleting": 1.5}]},
        {"lifecycleRules": [{"fileNamePrefix": "a" * 1025, "daysFromHidingToDeleting": 1}]},
        {"corsRules": [{**CORS, "maxAgeSeconds": True}]},
        {"corsRules": [{**CORS, "maxAgeSeconds": 86_401}]},
        {"corsRules": [{**CORS, "allowedOperations": ["b2_make_coffee"]}]},
        {"corsRules": [{**CORS, "allowedOrigins": "*"}]},
        {"corsRules": [{**CORS, "unknown": 1}]},
        {"corsRules": [CORS, CORS]},
        {"bucketInfo": {"a b": "x"}},
        {"bucketInfo": {"a": 1}},
        {"defaultRetention": {"mode": "governance", "period": {"unit": "days", "duration": True}}},
        {"replicationConfiguration": {"unknown": 1}},
        replicated({**COPIED, "priority": True}),
        replicated({**COPIED, "isEnabled": "yes"}),
        replicated(COPIED, COPIED),
        replicated("rule"),
        {"ifRevisionIs": 10**30},
        {"ifRevisionIs": "²"},
    ],
    ids=range(20),
)
def test_settings_of_a_bucket_that_are_refused(
    server: LocalB2, bucket: LocalBucket, change: dict[str, Any]
) -> None:
    account = {"accountId": server._authorise()["accountId"], "bucketId": bucket.id}
    before = server.call("b2_list_buckets", account)
    status, answer = post(server, "b2_update_bucket", json.dumps({**account, **change}).encode())
    assert is_refusal(status, answer), answer
    assert server.call("b2_list_buckets", account) == before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"eventTypes": []}, "event_types_empty"),
        ({"eventTypes": ["b2:ObjectCreated:Wish"]}, "event_type_invalid"),
        ({"eventTypes": ["b2:ObjectCreated:Copy", "b2:ObjectDeleted:*"]}, "event_type_categories"),
        ({"eventTypes": ["b2:ObjectCreated:Copy", "b2:ObjectCreated:*"]}, "event_type_overlap"),
        ({"isEnabled": 1}, "bad_request"),
        ({"targetConfiguration": {**WEBHOOK, "url": "http://a"}}, "bad_request"),
        ({"targetConfiguration": {**WEBHOOK, "customHeaders": [1]}}, "bad_request"),
        ({"objectNamePrefix": None}, "bad_request"),
        ({"unknown": 1}, "bad_request"),
    ],
)
def test_notification_rules_that_are_refused(
    server: LocalB2, bucket: LocalBucket, change: dict[str, Any], code: str
) -> None:
    fields = {"bucketId": bucket.id, "eventNotificationRules": [{**EVENT_RULE, **change}]}
    body = json.dumps(fields).encode()
    status, answer = post(server, "b2_set_bucket_notification_rules", body)
    assert is_refusal(status, answer)
    assert answer["code"] == code


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "b2.example"},
        {"Host": "127.0.0.1.example.com"},
        {"Host": "localhost", "Origin": "https://evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": ""},
        {"Host": "[::1"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/_admin/reset"])
def test_only_this_machine_reaches_the_admin_api(
    server: LocalB2, path: str, headers: dict[str, str]
) -> None:
    method = "GET" if path == "/" else "POST"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    status, answer = exchange(
        server, f"{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode()
    )
    assert (status, answer["code"]) == (403, "access_denied")


def test_this_machine_reaches_it_by_all_its_names(server: LocalB2) -> None:
    for host in ("localhost:1", "127.0.0.1", "127.1.2.3:80", "[::1]:80"):
        connection = HTTPConnection("127.0.0.1", urlsplit(server.realm).port)
        connection.request("GET", "/", headers={"Host": host, "Origin": f"http://{host}"})
        assert connection.getresponse().status == 200, host
        connection.close()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("rate", {"calls_per_second": "fast"}),
        ("rate", {"calls_per_second": 0}),
        ("rate", [1]),
        ("faults", {"fault": "latency", "seconds": "long"}),
        ("faults", {"fault": "error", "status": 200}),
        ("faults", {"fault": "latency", "calls": 7}),
        ("faults", {"fault": "latency", "every": 0}),
        ("faults", [1]),
        ("lifecycle", {"now_millis": "²"}),
        ("nowhere", {}),
    ],
)
def test_admin_requests_that_are_refused(server: LocalB2, path: str, body: object) -> None:
    data = json.dumps(body).encode()
    head = f"POST /_admin/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    status, answer = exchange(server, f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    assert is_refusal(status, answer), answer


def json_values() -> st.SearchStrategy[Any]:
    numbers = st.sampled_from([0, 1, -1, 2**53, 2**63, 2**64, 10**15, 10**400, 1.5, -1e300])
    leaves = st.none() | st.booleans() | numbers | st.integers() | st.text(max_size=8)
    leaves |= st.sampled_from(["²", LONG, "\0", "governance", "SSE-C", "bytes=0-", "upload"])
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)
        ),
        max_leaves=6,
    )


FIELDS = sorted(
    {
        *("accountId", "bucketId", "bucketName", "bucketType", "bucketTypes", "fileId", "fileName"),
        *("prefix", "delimiter", "startFileName", "startFileId", "maxFileCount", "namePrefix"),
        *("contentType", "fileInfo", "partNumber", "sourceFileId", "largeFileId", "range"),
        *("metadataDirective", "partSha1Array", "legalHold", "fileRetention", "bypassGovernance"),
        *("fileNamePrefix", "validDurationInSeconds", "applicationKeyId", "keyName", "bucketInfo"),
        *("capabilities", "bucketIds", "eventNotificationRules", "lifecycleRules", "corsRules"),
        *("defaultRetention", "defaultServerSideEncryption", "replicationConfiguration", "mode"),
        *("ifRevisionIs", "fileLockEnabled", "customUploadTimestamp", "serverSideEncryption"),
        *("startPartNumber", "maxPartCount", "maxKeyCount", "startApplicationKeyId", "unit"),
        *("destinationBucketId", "sourceServerSideEncryption", "b2ContentDisposition", "period"),
        *(
            "retainUntilTimestamp",
            "eventTypes",
            "daysFromHidingToDeleting",
            "duration",
            "b2Expires",
        ),
        *("asReplicationSource", "replicationRules", "customerKey", "customerKeyMd5", "algorithm"),
    }
)


def no_number(text: str) -> NoReturn:
    raise AssertionError(f"{text} was stored")


@given(
    call=st.sampled_from(sorted({*CALLS, "b2_download_file_by_id"} - {"b2_authorize_account"})),
    version=st.integers(1, 4),
    good=st.sets(st.sampled_from(FIELDS)),
    fields=st.dictionaries(st.sampled_from(FIELDS), json_values(), max_size=6),
)
@ANY_TIMES
def test_any_json_to_any_call(
    server: LocalB2,
    bucket: LocalBucket,
    call: str,
    version: int,
    good: set[str],
    fields: dict[str, Any],
) -> None:
    """Half of the fields are such that a call goes on with the others."""
    known = known_ids(server, bucket)
    body = json.dumps({**{name: known[name] for name in good & known.keys()}, **fields}).encode()
    connection = HTTPConnection("127.0.0.1", urlsplit(server.realm).port, timeout=20)
    try:
        path = f"/b2api/v{version}/{call}"
        connection.request("POST", path, body, {"Authorization": token(server)})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    assert response.status < 500, text
    answer = json.loads(text, parse_constant=no_number)
    assert response.status == 200 or is_refusal(response.status, answer)


_KNOWN: dict[str, dict[str, Any]] = {}


def known_ids(server: LocalB2, bucket: LocalBucket) -> dict[str, Any]:
    """Fields with which a call finds something; made once, and again when it has gone."""
    account = server._authorise()["accountId"]
    wanted = {"bucketId": bucket.id, "fileName": "l", "contentType": "text/plain"}
    if server.realm not in _KNOWN:
        large = server.call("b2_start_large_file", wanted)["fileId"]
        _, made = upload(server, bucket)
        _KNOWN[server.realm] = {
            **wanted,
            "accountId": account,
            "fileId": made["fileId"],
            "sourceFileId": made["fileId"],
            "largeFileId": large,
            "fileName": "f",
            "partNumber": 1,
            "keyName": "k",
            "capabilities": ["listFiles"],
            "bucketType": "allPrivate",
            "fileNamePrefix": "",
            "validDurationInSeconds": 10,
            "partSha1Array": ["0" * 40] * 2,
            "legalHold": "on",
            "eventNotificationRules": [],
        }
    return _KNOWN[server.realm]


header_bytes = st.binary(max_size=12).map(lambda b: bytes(c for c in b if c not in b"\r\n\0"))
header_bytes |= st.sampled_from(
    [b"bytes=0-" + LONG.encode(), b"bytes=-" + LONG.encode(), "²".encode(), b"\xff", b"%ff%00"]
)


@given(
    name=st.sampled_from(
        [
            *("Range", "Authorization", "X-Bz-File-Name", "X-Bz-Content-Sha1", "Content-Type"),
            *("X-Bz-Info-a", "X-Bz-Info-b2-expires", "X-Bz-Custom-Upload-Timestamp"),
            *("X-Bz-File-Legal-Hold", "X-Bz-File-Retention-Mode", "X-Bz-Test-Mode", "Expect"),
            *("X-Bz-Server-Side-Encryption-Customer-Algorithm", "If-None-Match"),
        ]
    ),
    value=header_bytes,
    path=st.sampled_from(
        [
            *("UPLOAD", "/file/none/f", "/file/none", "/b2api/v4/b2_list_buckets", "/b2api/v1/x"),
            *("/file/none/f?b2ContentDisposition=%00", "/b2api/v4/b2_download_file_by_id?fileId=4"),
        ]
    ),
)
@ANY_TIMES
def test_any_bytes_in_any_header(
    server: LocalB2, bucket: LocalBucket, name: str, value: bytes, path: str
) -> None:
    headers: dict[str, bytes] = {name: value}
    if path == "UPLOAD":
        url = server.call("b2_get_upload_url", {"bucketId": bucket.id})
        path, method = urlsplit(url["uploadUrl"]).path, b"POST"
        headers = {"Authorization": url["authorizationToken"].encode(), **headers}
        headers = {**{key: text.encode() for key, text in UPLOAD.items()}, **headers}
    else:
        method = b"GET"
        headers.setdefault("Authorization", token(server).encode())
    headers.setdefault("Content-Length", b"0")
    lines = [key.encode() + b": " + text for key, text in headers.items()]
    request = [method + b" " + path.encode() + b" HTTP/1.1", b"Host: a", b"Connection: close"]
    with connect(server) as connection:
        connection.sendall(b"\r\n".join([*request, *lines]) + b"\r\n\r\n")
        received = b""
        while block := connection.recv(1 << 16):
            received += block
    received = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status == 200 or is_refusal(status, json.loads(body)), received


def test_no_trace_of_all_that_was_left(server: LocalB2, bucket: LocalBucket) -> None:
    """Clients that go away, at any point; after them, and all above, the log is empty."""
    server.admin.clear_journal()
    for size in (0, 1, 30, 200, -900, None):
        for reset in (False, True):
            url = server.call("b2_get_upload_url", {"bucketId": bucket.id})
            whole = (
                f"POST {urlsplit(url['uploadUrl']).path} HTTP/1.1\r\nHost: a\r\n"
                f"Authorization: {url['authorizationToken']}\r\nX-Bz-File-Name: f\r\n"
                "Content-Type: a/b\r\nX-Bz-Content-Sha1: do_not_verify\r\n"
                "Content-Length: 1000000\r\n\r\n" + "x" * 1000
            ).encode()
            connection = connect(server)
            connection.sendall(whole[:size])
            if reset:
                linger = b"\x01\0\0\0\0\0\0\0"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
    deadline = time.monotonic() + 20
    while server.admin.counters().errors.get("connection_cut", 0) < 2:
        assert time.monotonic() < deadline
    assert "Traceback" not in server.said()
    assert server.said().endswith("Ctrl-C ends it."), server.said()[-2000:]


@pytest.fixture(scope="module", autouse=True)
def no_bug(server: LocalB2) -> Iterator[None]:
    """None of the answers above, whatever its test looked at, was a 500."""
    yield
    assert server.admin.counters().errors.get("internal_error") is None
