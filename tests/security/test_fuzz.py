"""Whatever stands where a signature, a seal or a file of keys should: a clean refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs import keyfile
from b2jobs.errors import InvalidJob, OperatorError
from b2jobs.keyfile import WORKERS
from b2jobs.ledger import packed_rows, rows_of
from b2jobs.signed import SealRefused, SignatureRefused, Submission
from b2jobs.signing import Ring

JOB = Submission("id", "upload", "normal", "", "{}")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    keyfile.write(path, [keyfile.new_key(WORKERS), keyfile.new_key("shop")])
    return path


@given(text=st.text() | st.from_regex(r"[0-9a-f]{4} \d{1,400} [0-9a-f]{4} \{.*\}"))
def test_any_text_is_no_signature(keys: Path, text: str) -> None:
    with pytest.raises(SignatureRefused):
        Ring(keys, required=True).check(JOB, text)


@given(at=st.integers(0, 400), into=st.characters())
def test_a_signature_with_one_character_changed_is_none(keys: Path, at: int, into: str) -> None:
    ring = Ring(keys, required=True)
    good = ring.sign(JOB, retry=60)
    assert ring.check(JOB, good).retry == 60
    at %= len(good)
    changed = good[:at] + into + good[at + 1 :]
    if changed != good:
        with pytest.raises(SignatureRefused):
            ring.check(JOB, changed)


@given(content=st.text() | st.binary(), other=st.text() | st.binary())
def test_a_seal_is_of_one_content_in_one_place(
    keys: Path, content: str | bytes, other: str | bytes
) -> None:
    ring = Ring(keys, required=True)
    sealed = ring.seal(content, "journal", "job", "field")
    assert ring.unseal(sealed, "journal", "job", "field") == content
    for what, place in (("journal", "other"), ("stray", "job")):
        with pytest.raises(SealRefused):
            ring.unseal(sealed, what, place, "field")
    with pytest.raises(SealRefused):
        ring.unseal(other, "journal", "job", "field")


@given(content=st.binary() | st.sampled_from([b"{}", b"[]", b'{"workers": [{}]}', b"[" * 9999]))
def test_any_bytes_are_no_file_of_keys(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "keys.json"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(InvalidJob) as refused:
        Ring(path)
    assert refused.value.code == "keys_invalid"
    path.chmod(0o644)
    with pytest.raises(InvalidJob) as refused:
        Ring(path)
    assert refused.value.code == "keys_exposed"


def test_two_keys_are_valid_at_a_time_and_what_is_packed_is_bounded(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = keyfile.new_key("shop"), keyfile.new_key("shop")
    workers = keyfile.new_key(WORKERS)
    path = keys.with_name("rotated.json")
    keyfile.write(path, [first])
    signature = Ring(path).sign(JOB, retry=1)
    keyfile.write(path, [workers, second, first])
    assert Ring(path, required=True).check(JOB, signature).producer == "shop"
    keyfile.write(path, [workers, second])
    with pytest.raises(SignatureRefused, match="not known"):
        Ring(path, required=True).check(JOB, signature)

    monkeypatch.setattr("b2jobs.ledger.MOST_ROWS_BYTES", 1000)
    with pytest.raises(OperatorError, match="more than"):
        rows_of(packed_rows(["x" * 2000]))
