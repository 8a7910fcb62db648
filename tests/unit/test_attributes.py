"""What a file may carry, as requests take it: the same for every kind that makes files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from b2jobs import manifest
from b2jobs.account_names import masked
from b2jobs.errors import InvalidJob
from b2jobs.items import Item, Refusal
from b2jobs.requests import build
from b2jobs.requests.attributes import together

ENDS = {
    "upload": {"source": "data:,x", "destination": "b2://some-bucket/a"},
    "copy": {"source": "b2://some-bucket/a", "destination": "b2://some-bucket/b"},
    "batch": {"source": "data://in/", "destination": "b2://some-bucket/in/"},
    "sync": {"source": "data://in/", "destination": "b2://some-bucket/in/"},
}


def refused(kind: str, **given: Any) -> str:
    with pytest.raises(InvalidJob) as caught:
        build(kind, {**ENDS[kind], **given})
    return str(caught.value)


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("cache_control", "max-age = 3"),
        ("content_disposition", "attachment; filename*=UTF-8''x"),
        ("content_encoding", "gzip\r\nX-Own: 1"),
        ("content_language", "d\u00e4nisch"),
        ("content_expires", "tomorrow"),
        ("content_type", ""),
    ],
)
def test_what_b2_would_refuse_is_refused_by_name(kind: str, field: str, given: str) -> None:
    said = refused(kind, **{field: given})
    assert field in said
    assert not given or repr(given)[1:10] in said


@pytest.mark.parametrize("kind", ENDS)
def test_a_header_is_said_once(kind: str) -> None:
    said = refused(kind, cache_control="no-store", info={"b2-cache-control": "no-cache"})
    assert "cache_control is given twice" in said


def test_headers_count_as_info() -> None:
    info = {f"k{number}": "v" for number in range(8)}
    build("upload", {**ENDS["upload"], "info": info})
    assert "9 entries" in refused("upload", info=info, cache_control="no-store")


def test_expiry_of_the_job_and_of_the_file_are_two_things() -> None:
    said = refused("upload", expires="Thu, 01 Dec 2044 16:00:00 GMT")
    assert "content_expires" in said
    made = build(
        "upload", {**ENDS["upload"], "expires": 60, "content_expires": "2044-12-01T16:00Z"}
    )
    assert made.arguments()["expires"] == 60
    assert made.arguments()["content_expires"] == "Thu, 01 Dec 2044 16:00:00 GMT"
    time = datetime(2044, 12, 1, 16, tzinfo=UTC)
    assert made == build("upload", {**ENDS["upload"], "expires": 60, "content_expires": time})


@pytest.mark.parametrize("kind", ["batch", "sync"])
def test_what_is_brought_down_carries_nothing(kind: str) -> None:
    ends = {"source": "b2://some-bucket/in/", "destination": "data://in/"}
    with pytest.raises(InvalidJob, match="cache_control has no meaning for a download"):
        build(kind, {**ends, "cache_control": "no-store"})


def test_a_line_of_a_manifest_has_a_column_for_each() -> None:
    reader = manifest.Reader()
    assert reader.read(b"source,destination,Cache_Control,expires", 1) is None
    row = reader.read(b'data:,b2://some-bucket/a,"public, max-age=3",2044-12-01T16:00:00Z', 2)
    assert isinstance(row, Refusal)  # `data:,` has a comma: it is quoted
    line = b'"data:,x",b2://some-bucket/a,"public, max-age=3",2044-12-01T16:00:00Z'
    row = reader.read(line, 3)
    assert isinstance(row, Item)
    assert row.options == {
        "cache_control": "public, max-age=3",
        "content_expires": "2044-12-01T16:00:00Z",
    }
    bad = manifest.row(4, {**ENDS["copy"], "content_language": "no such thing"})
    assert isinstance(bad, Refusal)
    assert "content_language" in bad.message
    down = {"source": "b2://some-bucket/a", "destination": "data://in/a"}
    assert "no meaning" in str(manifest.row(5, {**down, "cache_control": "no-store"}))


def test_a_line_wins_over_the_batch() -> None:
    general = {"cache_control": "no-store", "content_language": "de", "content_type": "text/plain"}
    own = {"info": {"b2-cache-control": "no-cache"}, "content_type": "text/html"}
    assert together(general, own) == {**own, "content_language": "de"}


def test_how_a_file_is_protected_is_said_in_one_way() -> None:
    made = build("upload", {**ENDS["upload"], "encryption": "sse-c:backups", "retain_for": "30d",
                            "retention": "governance", "legal_hold": "true"})  # fmt: skip
    assert made.arguments() == {
        **ENDS["upload"],
        "encryption": "SSE-C:backups",
        "retention": "governance",
        "retain_for": 30 * 86_400.0,
        "legal_hold": True,
    }
    until = build("copy", {**ENDS["copy"], "retention": "compliance", "retain_until": "2044-12-01"})
    assert until.arguments()["retain_until"] == "2044-12-01T00:00:00Z"
    assert until == build("copy", until.arguments())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"retention": "governance"}, "needs retain_until or retain_for"),
        ({"retain_for": "30d"}, "retain_for needs retention"),
        ({"retention": "none", "retain_until": "2044-12-01"}, "retain_until needs retention"),
        ({"retention": "compliance", "retain_for": 1, "retain_until": "2044-12-01"}, "both given"),
        ({"retention": "forever", "retain_for": 1}, "'governance', 'compliance' or 'none'"),
        ({"retention": "governance", "retain_until": "2044-12-01T10:00:00"}, "needs its zone"),
        ({"retention": "governance", "retain_for": "a while"}, "30d, 7y"),
        ({"retention": "governance", "retain_for": 0}, "retain_for is 0"),
        ({"encryption": "aes"}, "SSE-B2, SSE-C:NAME or default"),
        ({"encryption": "SSE-B2", "info": {"k": "v" * 1700}}, "2,048 with encryption"),
        ({"legal_hold": True, "info": {"k": "v" * 1700}}, "2,048 with encryption"),
    ],
)
@pytest.mark.parametrize("kind", ENDS)
def test_what_protects_nothing_is_refused(kind: str, given: dict[str, Any], said: str) -> None:
    assert said in refused(kind, **given)


KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.mark.parametrize("given", [{"encryption": f"SSE-C:{KEY}"}, {"customer_key": KEY},
                                   {"encryption": KEY}, {"customer_key": "00" * 32}])  # fmt: skip
def test_a_key_in_the_place_of_its_name_is_not_repeated(given: dict[str, str]) -> None:
    said = refused("copy", **given)
    assert "not repeated here" in said
    [key] = given.values()
    assert key[-20:] not in said
    assert masked(given) == dict.fromkeys(given, "***")
    bad = manifest.row(1, {**ENDS["copy"], **given})
    assert isinstance(bad, Refusal)
    assert key[-20:] not in str(bad.packed())
