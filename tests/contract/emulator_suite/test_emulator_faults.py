"""Faults do what they are called, and the journal tells what crossed the wire."""

from __future__ import annotations

import hashlib
import io
import os
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from typing import Any

import pytest
from b2sdk import v3 as b2sdk
from b2sdk.v3 import exception as failure

from b2emulator.faults.effects import FAULTS
from support.emulator_process import PART_BYTES, Running, emulator
from support.raw_client import RawClient

RESET = (ConnectionResetError, BrokenPipeError, RemoteDisconnected)


@pytest.fixture
def client(b2: Running) -> RawClient:
    client = RawClient(b2)
    client.authorize()
    return client


@pytest.fixture
def url(client: RawClient, bucket: b2sdk.Bucket) -> dict[str, str]:
    answer: dict[str, str] = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
    return answer


def names(bucket: b2sdk.Bucket) -> list[str]:
    return [version.file_name for version, _ in bucket.ls(latest_only=False, recursive=True)]


def test_b2sdk_gets_over_two_failed_uploads(b2: Running, bucket: b2sdk.Bucket) -> None:
    b2.admin.fault("service_unavailable", calls="b2_upload_file", next=2)
    bucket.upload_bytes(b"x", "f")
    calls = [(e["status"], e["faults"]) for e in b2.admin.journal(call="b2_upload_file")]
    assert calls == [(503, ["service_unavailable"])] * 2 + [(200, [])]
    assert b2.admin.counters().calls["b2_get_upload_url"] == 3  # the URL died each time
    assert names(bucket) == ["f"]


def test_how_often(b2: Running, client: RawClient, bucket: b2sdk.Bucket) -> None:
    def statuses(**when: Any) -> list[int]:
        b2.admin.clear_faults()
        b2.admin.fault("internal_error", calls="b2_list_file_n*", **when)
        call = {"bucketId": bucket.id_}
        return [client.call("b2_list_file_names", call).status for _ in range(6)]

    assert statuses(next=2) == [500, 500, 200, 200, 200, 200]
    assert statuses(every=3) == [200, 200, 500, 200, 200, 500]
    assert statuses(next=1, skip=2) == [200, 200, 500, 200, 200, 200]
    assert statuses(probability=0.0) == [200] * 6
    assert statuses(probability=1.0) == [500] * 6
    assert statuses(bucket="another") == [200] * 6
    assert statuses(method="GET") == [200] * 6
    (rule,) = b2.admin.faults()
    assert (rule["matched"], rule["struck"]) == (0, 0)


def test_one_part_of_one_file(b2: Running, bucket: b2sdk.Bucket) -> None:
    b2.admin.fault("service_unavailable", calls="b2_upload_part", part=2, next=1)
    bucket.upload_bytes(os.urandom(PART_BYTES * 3), "l")
    failed = [e["part"] for e in b2.admin.journal(call="b2_upload_part") if e["status"] == 503]
    assert failed == [2]


def test_a_reset_in_the_middle_of_an_upload(
    b2: Running, client: RawClient, url: dict[str, str], bucket: b2sdk.Bucket
) -> None:
    b2.admin.fault("reset_request", calls="b2_upload_file", bytes=100_000, next=1)
    with pytest.raises(RESET):
        client.upload(url, "f", os.urandom(20_000_000))
    (entry,) = b2.admin.journal(call="b2_upload_file")
    assert entry["status"] == 0
    assert 100_000 <= entry["bytes_in"] < 20_000_000
    assert names(bucket) == []


def test_an_answer_that_is_lost(
    b2: Running, client: RawClient, url: dict[str, str], bucket: b2sdk.Bucket
) -> None:
    b2.admin.fault("lost_response", calls="b2_upload_file", next=1)
    with pytest.raises(RESET):
        client.upload(url, "f", b"x")
    assert names(bucket) == ["f"]


def test_an_error_after_the_call_was_done(
    b2: Running, client: RawClient, url: dict[str, str], bucket: b2sdk.Bucket
) -> None:
    b2.admin.fault("service_unavailable", calls=["b2_upload_file"], after_call=True, next=1)
    assert client.upload(url, "f", b"x").status == 503
    assert client.upload(url, "f", b"x").code == "bad_auth_token"
    b2.admin.fault("service_unavailable", calls="b2_hide_file", after_call=True, next=1)
    assert client.call("b2_hide_file", {"bucketId": bucket.id_, "fileName": "f"}).status == 503
    assert names(bucket) == ["f", "f"]


def test_a_checksum_that_does_not_match(
    b2: Running, client: RawClient, url: dict[str, str], bucket: b2sdk.Bucket
) -> None:
    b2.admin.fault("checksum_mismatch", calls="b2_upload_file", next=1)
    refused = client.upload(url, "f", b"x" * 100_000)
    assert (refused.code, refused.json["message"]) == (
        "bad_request",
        "Sha1 did not match data received",
    )
    assert names(bucket) == []


@pytest.mark.parametrize("size", [5_000, 3_000_000])
class TestDownloads:
    def read(self, client: RawClient, bucket: b2sdk.Bucket, size: int) -> bytes:
        connection = HTTPConnection("127.0.0.1", client.running.ready["port"])
        try:
            headers = {"Authorization": client.token}
            connection.request("GET", f"/file/{bucket.name}/f", headers=headers)
            response = connection.getresponse()
            assert response.status == 200
            assert int(response.headers["Content-Length"]) == size
            return response.read()
        finally:
            connection.close()

    def test_truncated(
        self, b2: Running, client: RawClient, bucket: b2sdk.Bucket, size: int
    ) -> None:
        body = os.urandom(size)
        bucket.upload_bytes(body, "f")
        b2.admin.fault("truncate", calls="b2_download*", bytes=size - 1000, next=1)
        with pytest.raises(IncompleteRead) as short:
            self.read(client, bucket, size)
        assert short.value.partial == body[: size - 1000]

    def test_reset(self, b2: Running, client: RawClient, bucket: b2sdk.Bucket, size: int) -> None:
        bucket.upload_bytes(os.urandom(size), "f")
        b2.admin.fault("reset_response", calls="b2_download*", bytes=size // 2, next=1)
        with pytest.raises((*RESET, IncompleteRead)):
            self.read(client, bucket, size)

    def test_corrupted(
        self, b2: Running, client: RawClient, bucket: b2sdk.Bucket, size: int
    ) -> None:
        body = os.urandom(size)
        bucket.upload_bytes(body, "f")
        b2.admin.fault("corrupt", calls="b2_download*", bytes=4000, next=1)
        found = self.read(client, bucket, size)
        assert [i for i in range(size) if found[i] != body[i]] == [4000]
        assert self.read(client, bucket, size) == body

    def test_b2sdk_goes_on_after_a_truncated_one(
        self, b2: Running, client: RawClient, bucket: b2sdk.Bucket, size: int
    ) -> None:
        body = os.urandom(size)
        bucket.upload_bytes(body, "f")
        b2.admin.fault("truncate", calls="b2_download*", bytes=1000, next=1)
        out = io.BytesIO()
        bucket.download_file_by_name("f").save(out)
        assert out.getvalue() == body


def test_latency_and_bandwidth(b2: Running, client: RawClient, bucket: b2sdk.Bucket) -> None:
    bucket.upload_bytes(os.urandom(20_000), "f")
    b2.admin.fault("latency", calls="b2_list_file_names", seconds=0.2, next=1)
    client.call("b2_list_file_names", {"bucketId": bucket.id_})
    assert b2.admin.journal(call="b2_list_file_names")[-1]["seconds"] >= 0.2
    b2.admin.fault("bandwidth", bytes=100_000)
    assert len(client.get(f"/file/{bucket.name}/f").body) == 20_000
    assert b2.admin.journal(call="b2_download_file_by_name")[-1]["seconds"] >= 0.18
    url = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
    assert client.upload(url, "g", os.urandom(20_000)).status == 200
    assert b2.admin.journal(call="b2_upload_file")[-1]["seconds"] >= 0.18


def test_a_rate_limit_says_when_to_come_back(
    b2: Running, client: RawClient, bucket: b2sdk.Bucket
) -> None:
    b2.admin.limit_rate(2)
    call = {"bucketId": bucket.id_}
    answers = [client.call("b2_list_file_names", call) for _ in range(4)]
    assert [answer.status for answer in answers[:2]] == [200, 200]
    assert answers[3].code == "too_many_requests"
    assert int(answers[3].headers["retry-after"]) >= 1
    b2.admin.limit_rate(None)
    assert client.call("b2_list_file_names", call).status == 200


def test_expired_tokens_are_renewed_by_b2sdk(b2: Running, bucket: b2sdk.Bucket) -> None:
    b2.admin.clear_journal()
    b2.admin.expire_tokens()
    bucket.upload_bytes(b"x", "f")
    assert b2.admin.counters().errors == {"expired_auth_token": 1}
    assert b2.admin.counters().calls["b2_authorize_account"] == 1


def test_caps_reach_the_client(b2: Running, bucket: b2sdk.Bucket) -> None:
    b2.admin.fault("storage_cap_exceeded", calls="b2_upload_file", next=1)
    with pytest.raises(failure.StorageCapExceeded):
        bucket.upload_bytes(b"x", "f")
    b2.admin.fault("transaction_cap_exceeded", calls="b2_download*", next=1)
    bucket.upload_bytes(b"x", "f")
    with pytest.raises(failure.TransactionCapExceeded):
        bucket.download_file_by_name("f")


def test_every_fault_can_be_put_and_unknown_ones_are_refused(b2: Running) -> None:
    from urllib.error import HTTPError

    for fault in sorted(FAULTS):
        b2.admin.fault(fault, calls="b2_none")
    assert {rule["fault"] for rule in b2.admin.faults()} == FAULTS
    first = b2.admin.faults()[0]["id"]
    b2.admin.clear_faults(first)
    assert first not in {rule["id"] for rule in b2.admin.faults()}
    for fault, options in (("earthquake", {}), ("latency", {"minutes": 1})):
        with pytest.raises(HTTPError) as refused:
            b2.admin.fault(fault, **options)
        assert refused.value.code == 400


def test_faults_from_the_start() -> None:
    option = '{"fault": "service_unavailable", "calls": "b2_list_buckets", "next": 1}'
    with emulator("--memory", "--fault", option) as running:
        client = RawClient(running)
        client.authorize()
        call = {"accountId": client.account}
        assert client.call("b2_list_buckets", call).status == 503
        assert client.call("b2_list_buckets", call).status == 200


class TestJournal:
    def test_classes_and_bytes(self, b2: Running, client: RawClient, bucket: b2sdk.Bucket) -> None:
        b2.admin.clear_journal()
        url = client.call("b2_get_upload_url", {"bucketId": bucket.id_}).json
        file_id = client.upload(url, "f", b"x" * 1000).json["fileId"]
        client.get(f"/file/{bucket.name}/f")
        client.call("b2_get_file_info", {"fileId": file_id})
        client.call("b2_list_file_names", {"bucketId": bucket.id_})
        client.call("b2_get_file_info", {"fileId": "wrong"})
        counters = b2.admin.counters()
        assert counters.classes == {"A": 2, "B": 2, "C": 1}
        assert counters.errors == {"bad_request": 1}
        upload = b2.admin.journal(call="b2_upload_file")[0]
        assert (upload["bytes_in"], upload["name"], upload["class"]) == (1000, "f", "A")
        assert upload["file_id"] == file_id
        download = b2.admin.journal(after=upload["number"])[0]
        assert (download["bytes_out"], download["range"]) == (1000, [0, 999])

    def test_bytes_sent_twice_are_seen(
        self, b2: Running, client: RawClient, url: dict[str, str], bucket: b2sdk.Bucket
    ) -> None:
        b2.admin.clear_journal()
        client.upload(url, "f", b"x" * 1000)
        client.get(f"/file/{bucket.name}/f", Range="bytes=0-599")
        client.get(f"/file/{bucket.name}/f", Range="bytes=600-999")
        assert b2.admin.repeated_bytes() == 0
        client.get(f"/file/{bucket.name}/f", Range="bytes=500-699")
        assert b2.admin.repeated_bytes() == 200
        client.upload(url, "f", b"x" * 1000)
        assert b2.admin.repeated_bytes() == 1200

    def test_parts_are_told_apart(self, b2: Running, bucket: b2sdk.Bucket) -> None:
        bucket.upload_bytes(os.urandom(PART_BYTES * 3), "l")
        rows = b2.admin.transferred()["uploads"]
        assert [(row["part"], row["bytes"]) for row in sorted(rows, key=lambda r: r["part"])] == [
            (number, PART_BYTES) for number in (1, 2, 3)
        ]

    def test_real_clients_cannot_reach_the_admin_api_by_accident(self, client: RawClient) -> None:
        assert client.get("/b2api/v4/_admin/faults").status == 404
        assert hashlib.sha1(b"").hexdigest()
