"""A bucket's listing as a side of a sync."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from b2jobs.locations import B2File
from b2jobs_worker.sync import bucket
from b2jobs_worker.sync.compare import difference
from b2jobs_worker.sync.entries import Entry
from b2jobs_worker.sync.rules import Rules

DIGEST = "0123456789abcdef0123456789abcdef01234567"


def document(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "fileName": f"dir/{name}",
        "fileId": f"id of {name}",
        "action": "upload",
        "contentLength": 4,
        "contentSha1": DIGEST,
        "uploadTimestamp": 7,
        "fileInfo": {},
        **fields,
    }


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def look(*documents: dict[str, Any], versions: bool = False) -> list[Entry]:
        pages = iter([list(documents[:1]), list(documents[1:])])
        monkeypatch.setattr(bucket, "name_pages", lambda *_: pages)
        monkeypatch.setattr(bucket, "version_pages", lambda *_: pages)
        client: Any = SimpleNamespace(bucket=lambda name: name)
        return list(bucket.listed(client, B2File("bucket", "dir/"), versions=versions))

    return look


@pytest.mark.parametrize(
    "said",
    [
        {"contentSha1": DIGEST.upper()},
        {"contentSha1": f"unverified:{DIGEST.upper()}"},
        {"contentSha1": "none", "fileInfo": {"large_file_sha1": DIGEST.upper()}},
        {"contentSha1": None, "fileInfo": {"large_file_sha1": DIGEST}},
    ],
)
def test_upper_case_is_the_same_digest(listed: Any, said: dict[str, Any]) -> None:
    [entry] = listed(document("a", **said))
    local = Entry("a", 4, 1_000_000, DIGEST)
    assert difference(local, entry, Rules("up", compare="sha1")) == ""


@pytest.mark.parametrize("text", ["none", f'"{DIGEST}"', DIGEST[1:], ""])
def test_what_is_no_digest_is_unknown(listed: Any, text: str) -> None:
    [entry] = listed(document("a", contentSha1=None, fileInfo={"large_file_sha1": text}))
    assert entry.sha1 is None


@pytest.mark.parametrize("versions", [False, True])
def test_placeholders_and_the_folder_itself_are_passed_over(listed: Any, versions: bool) -> None:
    found = listed(
        document("", contentLength=0),
        document("a"),
        document("empty", contentLength=0),
        document("full/", contentLength=1),
        document("placeholder/", contentLength=0),
        versions=versions,
    )
    assert [entry.name for entry in found] == ["a", "empty", "full/"]


def test_a_placeholder_that_is_hidden_is_none_either(listed: Any) -> None:
    hidden = document("x/", contentLength=0, action="hide", contentSha1=None)
    once_full = document("y/", contentLength=0, action="hide", contentSha1=None)
    found = listed(
        hidden,
        document("x/", contentLength=0),
        once_full,
        document("y/", contentLength=3),
        versions=True,
    )
    assert [(entry.name, len(entry.versions)) for entry in found] == [("y/", 2)]


def test_age_counts_from_uploads(listed: Any) -> None:
    [entry] = listed(
        document("a", fileInfo={"src_last_modified_millis": "3"}, uploadTimestamp=9),
        document("a", fileInfo={"src_last_modified_millis": "2"}, uploadTimestamp=8),
        versions=True,
    )
    assert entry.modified_millis == 3
    assert [version.uploaded_millis for version in entry.versions] == [9, 8]


@pytest.mark.parametrize("millis", [-(10**13), 10**14])
def test_times_that_file_systems_turn_into_others_are_the_same(millis: int) -> None:
    kept = min(max(millis, -(2**31) * 1000), (2**34 - 2**31 - 1) * 1000)
    assert difference(Entry("a", 1, millis), Entry("a", 1, kept), Rules("down")) == ""
    assert difference(Entry("a", 1, 0), Entry("a", 1, kept), Rules("down")) != ""
