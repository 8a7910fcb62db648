"""A SHA-1 that can be written down in the middle and gone on with elsewhere.

hashlib's cannot: its state stays inside OpenSSL. The same library also has the plain
SHA1_Init, SHA1_Update and SHA1_Final, whose state is a public C structure of 96 bytes
(openssl/sha.h), which is what the journal keeps. Where the library does not offer them,
`state` is None and a resumed upload reads what it has sent once more for the digest
(docs/decisions/engine-large-uploads.md).
"""

from __future__ import annotations

import _hashlib
import ctypes
import hashlib
import re
import sys
from functools import cache
from typing import Protocol

_HEX = re.compile(r"[0-9a-f]{192}")


class Digest(Protocol):
    """SHA-1 of what has been passed to `update`, in order."""

    def update(self, data: memoryview | bytes, /) -> None: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> Digest: ...

    def state(self) -> str | None:
        """Everything needed to go on elsewhere, as hex; None where that is not possible."""


class _State(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 24)]  # ctypes' own protocol


class PortableSha1:
    """OpenSSL's low-level SHA-1: as fast as hashlib's, and its state can be read."""

    def __init__(self, state: _State | None = None) -> None:
        library = _library()
        assert library is not None
        self._library = library
        self._state = _State() if state is None else state
        if state is None:
            library.SHA1_Init(ctypes.byref(self._state))

    def update(self, data: memoryview | bytes, /) -> None:
        """A memoryview must be writable: its address is taken without a copy."""
        length = len(data)
        if not length:
            return
        if isinstance(data, bytes):
            self._library.SHA1_Update(ctypes.byref(self._state), data, ctypes.c_size_t(length))
        else:
            address = ctypes.byref((ctypes.c_char * length).from_buffer(data))
            self._library.SHA1_Update(ctypes.byref(self._state), address, ctypes.c_size_t(length))

    def copy(self) -> PortableSha1:
        return PortableSha1(_State.from_buffer_copy(self._state))

    def hexdigest(self) -> str:
        copy = _State.from_buffer_copy(self._state)
        digest = ctypes.create_string_buffer(20)
        self._library.SHA1_Final(digest, ctypes.byref(copy))
        return digest.raw.hex()

    def state(self) -> str:
        return f"{sys.byteorder}:{bytes(self._state).hex()}"


class HashlibSha1:
    """What is used where OpenSSL's low-level functions are not to be had."""

    def __init__(self) -> None:
        self._hash = hashlib.sha1(usedforsecurity=False)

    def update(self, data: memoryview | bytes, /) -> None:
        self._hash.update(data)

    def copy(self) -> HashlibSha1:
        other = HashlibSha1()
        other._hash = self._hash.copy()
        return other

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def state(self) -> str | None:
        return None


def new() -> Digest:
    """A digest of nothing yet."""
    return HashlibSha1() if _library() is None else PortableSha1()


def resume(state: str | None) -> Digest | None:
    """The digest whose `state` this is; None where it cannot be gone on with."""
    order, _, words = (state or "").partition(":")
    if _library() is None or order != sys.byteorder or not _HEX.fullmatch(words):
        return None
    known = _State.from_buffer_copy(bytes.fromhex(words))
    # The last word says how much of a 64-byte block is pending: OpenSSL trusts it.
    return PortableSha1(known) if known.words[-1] < 64 else None


@cache
def _library() -> ctypes.CDLL | None:
    """OpenSSL as Python has it loaded, when its SHA-1 gives the right answer here."""
    try:
        # The dynamic linker finds libcrypto's functions through the module linked to it.
        library = ctypes.CDLL(_hashlib.__file__)
        for name in ("SHA1_Init", "SHA1_Update", "SHA1_Final"):
            getattr(library, name).restype = ctypes.c_int
    except (AttributeError, OSError):
        return None
    state, digest = _State(), ctypes.create_string_buffer(20)
    library.SHA1_Init(ctypes.byref(state))
    library.SHA1_Update(ctypes.byref(state), b"b2jobs", ctypes.c_size_t(6))
    library.SHA1_Final(digest, ctypes.byref(state))
    expected = hashlib.sha1(b"b2jobs", usedforsecurity=False).digest()
    return library if digest.raw == expected else None
