"""Requests: validated before anything is queued, with an answer that leads on."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs import locations
from b2jobs.errors import InvalidJob
from b2jobs.requests import KINDS, RESULTS, Upload, build
from b2jobs.results import TransferResult

GOOD = {"source": "data://.my/a.png", "destination": "b2://some-bucket/a.png"}


@pytest.mark.parametrize(
    ("kind", "arguments", "code", "field"),
    [
        ("teleport", {}, "unknown_kind", ""),
        ("upload", {}, "invalid_request", "source"),
        ("upload", {**GOOD, "typo": 1}, "invalid_request", "typo"),
        ("upload", {**GOOD, "source": "b2://some-bucket/x"}, "invalid_location", "source"),
        ("upload", {**GOOD, "source": 7}, "invalid_request", "source"),
        *(
            (
                "upload",
                {"source": source, "destination": "b2://some-bucket/in/"},
                "invalid_location",
                "",
            )
            for source in (
                *("https://host/a/..", "https://host/%2e%2E", "https://host/.?x=1", "s3://b/a/.."),
                *("data://nas/a/.", "file:///srv/a/.."),
            )
        ),
        ("upload", {**GOOD, "destination": "b2://x/y"}, "bucket_name_refused", "destination"),
        ("upload", {**GOOD, "destination": "b2://some-bucket/a//b"}, "name_refused", "destination"),
        ("upload", {**GOOD, "destination": "s3://b/k"}, "invalid_location", "destination"),
        ("upload", {**GOOD, "if_exists": "maybe"}, "invalid_request", "if_exists"),
        ("upload", {**GOOD, "info": {"Upper": "x"}}, "invalid_request", "info"),
        ("upload", {**GOOD, "info": {"b2-x": "x"}}, "invalid_request", "info"),
        ("upload", {**GOOD, "info": {"x": "a\nb"}}, "invalid_request", "info"),
        ("upload", {**GOOD, "info": {"x": "\ud800"}}, "invalid_request", "info"),
        ("upload", {**GOOD, "info": {"x": "ü" * 1000}}, "invalid_request", "info"),
        ("upload", {**GOOD, "info": {"large_file_sha1": "none"}}, "invalid_request", "info"),
        (
            "upload",
            {**GOOD, "info": {"src_last_modified_millis": "yesterday"}},
            *("invalid_request", "info"),
        ),
        (
            "upload",
            {**GOOD, "info": {"src_last_modified_millis": "\u0661\u0662"}},
            *("invalid_request", "info"),
        ),
        ("upload", {**GOOD, "content_type": "a\r\nX: y"}, "invalid_request", "content_type"),
        ("upload", {**GOOD, "info": {"b2jobs": "x"}}, "invalid_request", "info"),
        (
            "upload",
            {**GOOD, "info": {f"k{i}": "x" for i in range(9)}},
            "invalid_request",
            "info",
        ),
        ("upload", {**GOOD, "priority": "urgent"}, "invalid_request", "priority"),
        ("upload", {**GOOD, "retry": -1}, "invalid_request", "retry"),
        ("upload", {**GOOD, "expires": 0}, "invalid_request", "expires"),
        ("upload", {**GOOD, "key": ""}, "invalid_request", "key"),
        (
            "upload",
            {"source": "data:,x", "destination": "b2://some-bucket/folder/"},
            "invalid_location",
            "",
        ),
        ("download", {"source": "b2://some-bucket/f/"}, "invalid_location", "source"),
        ("download", {"source": "b2id://x", "range": "9-1"}, "invalid_request", "range"),
        ("download", {"source": "b2id://x", "range": "all"}, "invalid_request", "range"),
        ("copy", {"source": "b2id://x", "destination": "b2id://y"}, "invalid_location", None),
        ("delete", {"target": "b2id://x", "versions": "all"}, "invalid_request", None),
        ("delete", {"target": "b2://some-bucket/f/", "versions": "4_z"}, "invalid_request", None),
        ("bucket", {"action": "create"}, "invalid_request", None),
        ("bucket", {"action": "list", "name": "some-bucket"}, "invalid_request", None),
        ("bucket", {"action": "create", "name": "x"}, "bucket_name_refused", "name"),
        ("share", {"source": "b2://some-bucket/x", "seconds": 0}, "invalid_request", "seconds"),
        ("share", {"source": "b2://some-bucket/x", "seconds": 604_801}, "invalid_request", None),
    ],
)
def test_bad_requests_are_named(
    kind: str, arguments: dict[str, object], code: str, field: str | None
) -> None:
    with pytest.raises(InvalidJob) as caught:
        build(kind, arguments)
    assert caught.value.code == code
    if field is not None:
        assert caught.value.field.startswith(field)
    assert str(caught.value)


def test_a_folder_takes_the_name_of_the_source() -> None:
    def target(source: str, destination: str) -> str:
        return Upload(source=source, destination=destination).target().name

    assert target("data://.my/deep/a.png", "b2://some-bucket/to/") == "to/a.png"
    assert target("https://host/x/b.jpg?sig=1", "b2://some-bucket/") == "b.jpg"
    assert target("https://host/x/a%20b.png", "b2://some-bucket/dir/") == "dir/a b.png"
    assert target("https://host/x/a%2Fb.png", "b2://some-bucket/dir/") == "dir/a%2Fb.png"
    assert target("https://host/x/%ff.png", "b2://some-bucket/dir/") == "dir/%ff.png"
    assert target("data:,", "b2://some-bucket/empty/") == "empty/.bzEmpty"
    assert target("data://.my/a.png", "b2://some-bucket/other") == "other"


_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
_value = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@given(
    key=st.none() | _text,
    priority=st.sampled_from(["high", "normal", "low"]),
    retry=st.floats(0, 1e9),
    expires=st.none() | st.floats(0.001, 1e9),
    info=st.dictionaries(st.from_regex(r"x[a-z0-9_-]{1,20}", fullmatch=True), _value, max_size=8),
)
def test_a_request_is_the_same_after_json(**options: object) -> None:
    request = build("upload", {**GOOD, **options})
    assert build("upload", json.loads(json.dumps(request.arguments()))) == request


def test_a_result_is_the_same_after_json() -> None:
    result = TransferResult(url="https://x", size=3, sha1="0" * 40, calls={"a": 2, "b": 0, "c": 1})
    assert TransferResult(**json.loads(json.dumps(result.as_json()))) == result


def test_a_newer_workers_result_is_read_by_an_older_client() -> None:
    assert TransferResult(**{"url": "x", "invented_later": 1}).url == "x"


def test_every_kind_has_a_result() -> None:
    assert set(KINDS) - {"pack"} == set(RESULTS)  # nobody waits for a pack


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("upload", {"source": "data://.my/x.png", "destination": "b2://some-bucket/folder/"}),
        ("download", {"source": "b2id://4_z1", "destination": "data://.my/x"}),
        ("copy", {"source": "b2://some-bucket/x", "destination": "b2://some-bucket/y"}),
        ("delete", {"target": "b2://some-bucket/x"}),
        ("hide", {"target": "b2://some-bucket/x"}),
        ("share", {"source": "b2://some-bucket/x"}),
        ("sync", {"source": "data://.my/x/", "destination": "b2://some-bucket/y/"}),
        ("batch", {"source": "data://.my/x/", "destination": "b2://some-bucket/y/"}),
    ],
)
def test_a_location_is_parsed_once_and_stays_text(
    kind: str, arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    parse = locations.parse
    monkeypatch.setattr(locations, "parse", lambda uri: parsed.append(uri) or parse(uri))

    request = build(kind, arguments)

    for field, text in arguments.items():
        assert str(getattr(request, f"{field}_location")) == text
        assert getattr(request, field) == text
    assert sorted(parsed) == sorted(arguments.values())
    assert json.loads(json.dumps(request.arguments())) == arguments
    assert pickle.loads(pickle.dumps(request)) == request


@pytest.mark.parametrize(
    ("kind", "given", "field", "way_out"),
    [
        ("move", {"source": "data://.my/x"}, "source", "Upload"),
        ("move", {"destination": "s3://other/x"}, "destination", "download"),
        ("move", {"source_account": "other"}, "source_account", "Copy with it, and delete"),
        ("move", {"source": "b2://some-bucket/x/"}, "source", "Name the file"),
        ("sync", {"source": "s3://other/x/", "names": "encode"}, "names", "manifest"),
        ("batch", {"source": "b2://other-bucket/x/", "names": "encode"}, "names", "manifest"),
    ],
)
def test_what_goes_another_way_is_refused_with_that_way(
    kind: str, given: dict[str, str], field: str, way_out: str
) -> None:
    slash = "" if kind == "move" else "/"
    sides = {"source": f"b2://some-bucket/a{slash}", "destination": f"b2://some-bucket/b{slash}"}
    with pytest.raises(InvalidJob) as caught:
        build(kind, {**sides, **given})
    assert caught.value.field == field
    assert str(next(iter(given.values()))) in str(caught.value) or "encode" in str(caught.value)
    assert way_out in caught.value.hint
