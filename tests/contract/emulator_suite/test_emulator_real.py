"""Every exchange that was recorded with the real B2, made again here and compared.

Status, the headers clients read, fields and types of the JSON, codes and messages;
see recorded/real/README.md for where they come from.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.emulator_process import emulator
from support.raw_client import Answer, RawClient

EXCHANGES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded" / "real" / "exchanges.json").read_text()
)
BETTER_KNOWN = {
    "b2_authorize_account allowed.capabilities": "B2 has made new capabilities since",
    "b2_create_key authorizationToken": "not B2's: whoever hid the tokens put it there",
    "b2_list_keys keys.nextApplicationId": "the documentation has it beside the keys, as"
    " nextApplicationKeyId, where the recording has it too",
    "* replicationStatus": "came with replication, in 2022",
    "* replicationConfiguration": "the same",
}
"""Where ours differs from a recording, and why. `*` is any call."""
SOME_TEXT = b"Some text\n"


class Replay:
    """An account with what the recorded one had, and the names it is asked for by."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.account = client.account
        self.made = {"<account>": client.account}
        self.url: dict[str, str] = {}
        self.made["<bucket>"] = self.bucket("first-bucket")
        self.made["<text file>"] = self.upload("<bucket>", "text.txt")
        self.upload("<bucket>", "copied.txt")
        locked = self.bucket("locked-bucket", fileLockEnabled=True)
        self.made["<locked>"] = self.upload(locked, "text.txt")
        self.made["<key>"] = self.key()

    def bucket(self, name: str, **fields: object) -> str:
        wanted = {"accountId": self.account, "bucketName": name, "bucketType": "allPrivate"}
        return str(self.client.call("b2_create_bucket", {**wanted, **fields}).json["bucketId"])

    def upload(self, bucket: str, name: str) -> str:
        asked = {"bucketId": self.made.get(bucket, bucket)}
        url = self.client.call("b2_get_upload_url", asked).json
        headers = {
            "Authorization": url["authorizationToken"],
            "X-Bz-File-Name": name,
            "Content-Type": "b2/x-auto",
            "X-Bz-Content-Sha1": hashlib.sha1(SOME_TEXT).hexdigest(),
            "X-Bz-Info-src_last_modified_millis": "1637248673875",
        }
        path = urlsplit(url["uploadUrl"]).path
        return str(self.client.request("POST", path, headers, SOME_TEXT).json["fileId"])

    def key(self, **fields: object) -> str:
        wanted = {"accountId": self.account, "capabilities": ["listFiles"], "keyName": "a-key"}
        return str(self.client.call("b2_create_key", {**wanted, **fields}).json["applicationKeyId"])

    def only_a_key_of_a_bucket(self) -> None:
        for key in self.client.call("b2_list_keys", {"accountId": self.account}).json["keys"]:
            gone = {"applicationKeyId": key["applicationKeyId"]}
            assert self.client.call("b2_delete_key", gone).status == 200
        self.key(bucketId=self.made["<bucket>"], capabilities=["listFiles", "readFiles"])

    def two_unfinished_files(self) -> None:
        wanted = {"bucketId": self.made["<bucket>"], "fileName": "unfinished.txt"}
        for _ in range(2):
            self.client.call("b2_start_large_file", {**wanted, "contentType": "text/plain"})

    def before(self, number: int) -> None:
        """What the recorded account had come to between two of its exchanges."""
        hooks: dict[int, Callable[[], Any]] = {
            5: self.only_a_key_of_a_bucket,
            33: lambda: self.upload("<bucket>", "text.txt"),  # it was hidden before
            53: self.two_unfinished_files,
        }
        hooks.get(number, lambda: None)()

    def ask(self, exchange: dict[str, Any]) -> Answer:
        token = {"Authorization": self.client.token}
        headers, body = {**token, **exchange.get("headers", {})}, exchange.get("body")
        path = exchange["path"]
        if exchange["call"] == "b2_authorize_account":
            ready = self.client.running.ready
            secret = ready["application_key"] if exchange["status"] == 200 else "wrong"
            basic = base64.b64encode(f"{ready['key_id']}:{secret}".encode()).decode()
            headers["Authorization"] = f"Basic {basic}"
        elif path in ("<upload url>", "<part url>"):
            path = urlsplit(self.url["uploadUrl"]).path
            headers["Authorization"] = self.url["authorizationToken"]
        if isinstance(body, dict):
            data: bytes | None = json.dumps(self.filled_in(body)).encode()
            headers.setdefault("content-type", "application/json")
        else:
            data = b"a" * 5_242_880 if body == "<5242880 times a>" else (body or "").encode()
        return self.client.request(exchange["method"], path, headers, data or None)

    def filled_in(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self.filled_in(entry) for name, entry in value.items()}
        return self.made.get(value, value) if isinstance(value, str) else value

    def remember(self, number: int, answer: dict[str, Any]) -> None:
        """The ids by which later exchanges ask for what this one has made."""
        names = {7: "<new bucket>", 16: "<deleted>", 20: "<uploaded>", 25: "<marker>"}
        names |= {34: "<large 1>", 38: "<large 2>", 43: "<large 3>", 47: "<large 4>"}
        if "uploadUrl" in answer:
            self.url = answer
        if number in names:
            field = "bucketId" if number == 7 else "fileId"
            self.made[names[number]] = answer[field]


def differences(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values differ, each as its path; `<text>` and `<number>` are any."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for name in recorded.keys() | ours.keys():
            where = f"{path}.{name}".lstrip(".")
            if name in recorded and name in ours:
                yield from differences(recorded[name], ours[name], where)
            else:
                yield where
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for then, now in zip(recorded, ours, strict=True):
            yield from differences(then, now, path)
    elif recorded in ("<text>", "<number>"):
        if not isinstance(ours, str if recorded == "<text>" else int):
            yield path
    elif recorded != ours:
        yield path


def test_the_real_b2_is_answered_alike() -> None:
    found: list[str] = []
    explained: set[str] = set()
    with emulator("--memory") as running:
        client = RawClient(running, version=2)
        client.authorize()
        replay = Replay(client)
        for number, exchange in enumerate(EXCHANGES):
            replay.before(number)
            answer = replay.ask(exchange)
            shown = f"{number} {exchange['call']}"
            is_json = answer.headers["content-type"].startswith("application/json")
            body = answer.json if is_json else answer.body.decode()
            if answer.status != exchange["status"]:
                found.append(f"{shown}: {answer.status} {body}, recorded {exchange['status']}")
                continue
            for name, value in exchange["answer_headers"].items():
                ours = answer.headers.get(name)
                if value != ours and not (value in ("<text>", "<number>") and ours):
                    found.append(f"{shown}: header {name} is {ours}, recorded {value}")
            if not is_json and "cache-control" in answer.headers:
                found.append(f"{shown}: Cache-Control on a download")
            if exchange["status"] != 400 and answer.headers.get("connection") == "close":
                found.append(f"{shown}: closed")
            for path in differences(exchange["answer"], body):
                reasons = {f"{exchange['call']} {path}", f"* {path.rpartition('.')[2]}"}
                if known := reasons & BETTER_KNOWN.keys():
                    explained |= known
                else:
                    found.append(f"{shown}: {path}")
            if is_json and answer.status == 200:
                replay.remember(number, body)
    assert not found, "\n" + "\n".join(found)
    assert explained == BETTER_KNOWN.keys()


@pytest.mark.parametrize(
    ("recorded", "ours", "expected"),
    [
        ({"a": "<text>"}, {"a": "x"}, []),
        ({"a": "<text>"}, {"a": 1}, ["a"]),
        ({"a": None}, {"a": ""}, ["a"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["a.b"]),
        ({"a": [{}, {}]}, {"a": [{}]}, ["a"]),
        ({"a": 1}, {}, ["a"]),
        ({}, {"b": 1}, ["b"]),
    ],
)
def test_the_comparison_sees_a_difference(recorded: Any, ours: Any, expected: list[str]) -> None:
    assert list(differences(recorded, ours)) == expected
