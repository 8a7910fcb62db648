"""Listings compared with a model that is too simple to be wrong.

Random uploads, hides and deletions, large files left open, then pages with random
prefixes, delimiters, starts and page sizes: every page must be what the model says.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.emulator_process import Running
from support.raw_client import RawClient

NAMES = st.sampled_from(
    [
        "a",
        "a/",
        "a/b",
        "a/b/c",
        "a/é",
        "a0",
        "a-",
        "b",
        "b//c",
        "c/d/e",
        "é",
        "\U0001f600",
        "a/\uffff",
    ]
)
ACTS = st.lists(
    st.tuples(st.sampled_from(["upload", "upload", "hide", "delete", "start"]), NAMES),
    min_size=1,
    max_size=14,
)
PREFIXES = st.sampled_from(["", "a", "a/", "a/b", "b/", "é", "zz", "\U0001f600"])
DELIMITERS = st.sampled_from([None, "/", "b", "//"])
STARTS = st.sampled_from(["", "a", "a/", "a/b", "a0", "b", "é", "zz"])


@dataclass(frozen=True)
class Row:
    """One version, newest first within its name by *order*."""

    name: str
    order: int
    action: str
    file_id: str


def model(
    rows: list[Row], *, only_visible: bool, prefix: str, delimiter: str | None, start: str
) -> list[tuple[str, str | None]]:
    """(name, file id or None for a folder) of the whole listing."""
    entries: list[tuple[str, str | None]] = []
    ordered = sorted(rows, key=lambda row: (row.name.encode(), -row.order))
    newest: dict[str, Row] = {}
    for row in ordered:
        if row.action != "start":
            newest.setdefault(row.name, row)
    for row in ordered:
        if not row.name.startswith(prefix) or row.name.encode() < start.encode():
            continue
        if only_visible and (row is not newest.get(row.name) or row.action != "upload"):
            continue
        at = row.name.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            entries.append((row.name, row.file_id))
            continue
        folder = (row.name[: at + len(delimiter or "")], None)
        if folder not in entries:
            entries.append(folder)
    return entries


@pytest.fixture
def client(b2: Running) -> RawClient:
    client = RawClient(b2)
    client.authorize()
    return client


def play(client: RawClient, acts: list[tuple[str, str]]) -> tuple[str, list[Row]]:
    """Do *acts* in a new bucket; the versions that are left."""
    name = f"model-{secrets.token_hex(8)}"
    made = {"accountId": client.account, "bucketName": name, "bucketType": "allPrivate"}
    bucket = client.call("b2_create_bucket", made).json["bucketId"]
    url = client.call("b2_get_upload_url", {"bucketId": bucket}).json
    rows: list[Row] = []
    for order, (act, file) in enumerate(acts):
        of_name = sorted((row for row in rows if row.name == file), key=lambda row: row.order)
        if act == "upload":
            answer = client.upload(url, _encoded(file), b"x")
        elif act == "start":
            fields = {"bucketId": bucket, "fileName": file, "contentType": "text/plain"}
            answer = client.call("b2_start_large_file", fields)
        elif act == "hide":
            answer = client.call("b2_hide_file", {"bucketId": bucket, "fileName": file})
            if answer.code in ("no_such_file", "already_hidden"):
                continue
        elif of_name:
            gone = of_name[-1]
            fields = {"fileId": gone.file_id, "fileName": file}
            assert client.call("b2_delete_file_version", fields).status == 200
            rows.remove(gone)
            continue
        else:
            continue
        assert answer.status == 200, answer.body
        rows.append(Row(file, order, answer.json["action"], answer.json["fileId"]))
    return bucket, rows


def _encoded(name: str) -> str:
    from urllib.parse import quote

    return quote(name)


def walk(client: RawClient, call: str, fields: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Every page of a listing; also: no page is over its size, none but the first is empty."""
    found: list[tuple[str, str | None]] = []
    start: dict[str, Any] = {}
    while True:
        page = client.call(call, {**fields, **start}).json
        assert len(page["files"]) <= fields["maxFileCount"]
        assert page["files"] or not start
        found += [(file["fileName"], file["fileId"]) for file in page["files"]]
        if page["nextFileName"] is None:
            return found
        start = {"startFileName": page["nextFileName"]}
        if page.get("nextFileId"):
            start["startFileId"] = page["nextFileId"]


@settings(max_examples=60, deadline=None)
@given(acts=ACTS, prefix=PREFIXES, delimiter=DELIMITERS, start=STARTS, size=st.integers(1, 5))
def test_listings_are_those_of_the_model(
    shared_emulator: Running,
    acts: list[tuple[str, str]],
    prefix: str,
    delimiter: str | None,
    start: str,
    size: int,
) -> None:
    client = RawClient(shared_emulator)
    client.authorize()
    bucket, rows = play(client, acts)
    fields = {
        "bucketId": bucket,
        "prefix": prefix,
        "delimiter": delimiter,
        "startFileName": start,
        "maxFileCount": size,
    }
    for call, only_visible in (("b2_list_file_names", True), ("b2_list_file_versions", False)):
        expected = model(
            rows, only_visible=only_visible, prefix=prefix, delimiter=delimiter, start=start
        )
        assert walk(client, call, fields) == expected


def test_a_page_of_ten_thousand(client: RawClient) -> None:
    name = f"many-{secrets.token_hex(6)}"
    made = {"accountId": client.account, "bucketName": name, "bucketType": "allPrivate"}
    bucket = client.call("b2_create_bucket", made).json["bucketId"]
    url = client.call("b2_get_upload_url", {"bucketId": bucket}).json
    for number in range(1500):
        client.upload(url, f"f{number:05d}", b"")
    client.running.admin.clear_journal()
    page = client.call("b2_list_file_names", {"bucketId": bucket, "maxFileCount": 10_000}).json
    assert len(page["files"]) == 1500
    assert page["nextFileName"] is None
    assert client.running.admin.counters().classes["C"] == 2  # one for each 1,000 entries
