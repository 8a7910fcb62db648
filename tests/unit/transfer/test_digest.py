"""A SHA-1 that goes on elsewhere is the SHA-1."""

from __future__ import annotations

import hashlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs_worker.transfer import digest

pieces = st.lists(st.binary(max_size=300), max_size=6)


@given(before=pieces, after=pieces)
def test_it_goes_on_from_its_state(before: list[bytes], after: list[bytes]) -> None:
    first = digest.new()
    for piece in before:
        first.update(memoryview(bytearray(piece)))
    second = digest.resume(first.state())
    assert second is not None, "OpenSSL's low-level SHA-1 is expected where the tests run"
    for piece in after:
        second.update(piece)
    assert second.hexdigest() == hashlib.sha1(b"".join(before + after)).hexdigest()
    assert first.hexdigest() == hashlib.sha1(b"".join(before)).hexdigest()


@given(before=pieces, after=pieces)
@pytest.mark.parametrize("kind", [digest.PortableSha1, digest.HashlibSha1])
def test_a_copy_is_on_its_own(
    kind: type[digest.Digest], before: list[bytes], after: list[bytes]
) -> None:
    one = kind()
    for piece in before:
        one.update(piece)
    other = one.copy()
    for piece in after:
        other.update(piece)
    assert one.hexdigest() == hashlib.sha1(b"".join(before)).hexdigest()
    assert other.hexdigest() == hashlib.sha1(b"".join(before + after)).hexdigest()


@pytest.mark.parametrize(
    "state",
    [
        None,
        "",
        "00" * 96,
        "little:00",
        f"{sys.byteorder}:{'zz' * 96}",
        f"{sys.byteorder}:{'ff' * 96}",
        f"{'big' if sys.byteorder == 'little' else 'little'}:{'00' * 96}",
    ],
)
def test_what_is_no_state_is_not_gone_on_with(state: str | None) -> None:
    assert digest.resume(state) is None


def test_without_openssl_there_is_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_library", lambda: None)
    plain = digest.new()
    plain.update(b"x")
    assert plain.state() is None
    assert digest.resume("00" * 96) is None
