"""Locations: what is printed can be read again, and what cannot name bytes is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs import locations
from b2jobs.for_people import masked, masked_all
from b2jobs.locations import (
    B2File,
    B2Version,
    InlineData,
    InvalidLocation,
    LocalPath,
    RootPath,
    StoreObject,
    WebFile,
    parse,
)

_segment = st.text(
    st.characters(min_codepoint=32, exclude_characters="/\x7f", exclude_categories=["Cs"]),
    min_size=1,
    max_size=60,
)
_name = st.lists(_segment, min_size=1, max_size=4).map("/".join)
_bucket = st.from_regex(r"[a-z0-9][a-z0-9-]{5,62}", fullmatch=True).filter(
    lambda name: not name.startswith("b2-")
)
_path = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)
_word = st.text(
    st.characters(min_codepoint=33, exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
)

ANY = st.one_of(
    st.builds(B2File, _bucket, st.one_of(_name, _name.map(lambda name: name + "/"), st.just(""))),
    st.builds(B2Version, _word),
    st.builds(RootPath, _word, _path),
    st.builds(LocalPath, _path.map(lambda path: "/" + path)),
    st.builds(StoreObject, st.sampled_from(["s3", "gs", "azure"]), _word, _path),
    st.builds(InlineData, st.sampled_from(["", "text/plain"]), st.binary(max_size=300)),
    st.just(WebFile("https://host.example:8443/a%20b?c=d")),
)


@given(ANY)
def test_what_is_printed_is_read_again(location: locations.Location) -> None:
    assert parse(str(location)) == location


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("", "invalid_location"),
        ("name", "invalid_location"),
        ("/path", "invalid_location"),
        ("ftp://host/x", "invalid_location"),
        ("http://host/x", "invalid_location"),
        ("b2://", "invalid_location"),
        ("b2://short/x", "bucket_name_refused"),
        ("b2://b2-bucket/x", "bucket_name_refused"),
        ("b2://under_score/x", "bucket_name_refused"),
        ("b2://some-bucket//x", "name_refused"),
        ("b2://some-bucket/a//b", "name_refused"),
        ("b2://some-bucket/a\nb", "name_refused"),
        ("b2://some-bucket/a\x7fb", "name_refused"),
        ("b2://some-bucket/" + "x" * 251, "name_refused"),
        ("b2://some-bucket/" + "ä" * 126, "name_refused"),
        ("b2://some-bucket/" + "/".join(["x" * 200] * 6), "name_refused"),
        ("b2://some-bucket/\ud800", "name_refused"),
        ("b2id://", "invalid_location"),
        ("b2id://a/b", "invalid_location"),
        ("data://", "invalid_location"),
        ("data:///path", "invalid_location"),
        ("data://root/a\0b", "invalid_location"),
        ("file://host/path", "invalid_location"),
        ("file:///a\0b", "invalid_location"),
        ("https://", "invalid_location"),
        ("https://user:secret@host/x", "invalid_location"),
        ("https://host/a b", "invalid_location"),
        ("https://host:port/x", "invalid_location"),
        ("s3:///key", "invalid_location"),
        ("data:no-comma", "invalid_location"),
        ("data:;base64,###", "invalid_location"),
        ("data:," + "x" * (locations.INLINE_LIMIT_BYTES + 1), "invalid_location"),
    ],
)
def test_what_cannot_name_bytes_is_refused(uri: str, code: str) -> None:
    with pytest.raises(InvalidLocation) as caught:
        parse(uri)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_a_location_or_refused(text: str) -> None:
    try:
        location = parse(text)
    except InvalidLocation:
        return
    assert parse(str(location)) == location


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        ("https://host/a/b?X-Signature=geheim#geheim", "https://host/a/b"),
        ("https://u:geheim@host:444/a@b", "https://host:444/a@b"),
        ("https://host?geheim", "https://host"),
        ("HTTP://u:geheim@host/x", "HTTP://host/x"),
        ("ftp://u:geheim@host/x?y", "ftp://host/x"),
        ("b2://bucket/what?.txt#1", "b2://bucket/what?.txt#1"),
        ("s3://minio@bucket/a?b", "s3://minio@bucket/a?b"),
        ("data://root/a@b?c", "data://root/a@b?c"),
        ("plain ? text", "plain ? text"),
        ("data:text/plain;base64,Z2VoZWlt", "data:text/plain (6 B)"),
        ("data:;base64,Z2VoZWltZQ==", "data: (7 B)"),
        ("data:,ge%20heim", "data: (7 B)"),
        ("data:text/plain (6 B)", "data:text/plain (6 B)"),
        ("data:,", "data:,"),
        ("staged://0f/a%20b.png?bytes=2202010&sha1=geheim", "a b.png (handed over, 2.1 MiB)"),
        ("staged://0f/?bytes=7&sha1=geheim", "bytes (handed over, 7 B)"),
        ("staged://0f/x?bytes=" + "9" * 5000, "x (handed over)"),
    ],
)
def test_what_opens_a_url_is_not_shown(uri: str, seen: str) -> None:
    assert masked(uri) == seen
    assert masked_all({"a": [uri, 1], "b": None}) == {"a": [seen, 1], "b": None}
    with pytest.raises(InvalidLocation) as caught:
        parse(uri.replace("https", "nothing", 1) if uri.startswith("https") else "x-" + uri)
    assert "geheim" not in str(caught.value)
