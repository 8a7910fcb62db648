"""Times and digests as uploaders write them into a file's info."""

from __future__ import annotations

import pytest

from b2jobs.metadata import modified_millis, sha1_hex
from b2jobs_worker.b2.versions import FileVersion


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("0", 0),
        ("-1", -1),
        ("-2208988800000", -2_208_988_800_000),
        ("1700000000123", 1_700_000_000_123),
        ("253402300799999", 253_402_300_799_999),
    ],
)
def test_times_before_and_at_1970_are_times(text: str, millis: int) -> None:
    assert modified_millis(text) == millis
    version = FileVersion("id", "a", info={"src_last_modified_millis": text})
    assert version.modified_millis == millis


@pytest.mark.parametrize(
    "text",
    [
        *[None, "", " 5", "5 ", "5\n", "1_000", "+5", "--5", "-", "5.0", "1e3", "yesterday"],
        *["\u0661\u0662\u0663", "\u00b2", "1" * 25, "1700000000000000000", "253402300800000"],
        *["-62135596800001", "-" + "9" * 15],
    ],
)
def test_what_is_no_time(text: str | None) -> None:
    assert modified_millis(text) is None


def test_digests() -> None:
    digest = "0123456789abcdef0123456789abcdef01234567"
    assert sha1_hex(digest) == sha1_hex(digest.upper()) == digest
    assert sha1_hex(f"unverified:{digest.upper()}") == digest
    for text in (
        None,
        "",
        "none",
        f'"{digest}"',
        digest[1:],
        digest + "0",
        "g" * 40,
        f"{digest}\n",
    ):
        assert sha1_hex(text) is None
    version = FileVersion("id", "a", content_sha1=None, info={"large_file_sha1": digest.upper()})
    assert version.sha1 == digest
    assert FileVersion("id", "a", info={"large_file_sha1": f'"{digest}"'}).sha1 is None
