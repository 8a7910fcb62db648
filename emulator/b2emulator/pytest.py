"""Fixtures with a local B2, for anybody's tests. In a conftest.py at the top:

    pytest_plugins = ["b2emulator.pytest"]

    b2_server   one emulator for all the tests of the session
    b2          the same, with no faults and an empty journal, before and after the test
    b2_bucket   a new private bucket
    b2_key      a key for that bucket, with all that a restricted key can have
    b2_faults   `Admin`: puts faults in force, counts calls, reads the journal

Options of the server: override `b2_options`, a session fixture that returns a list.
"""

from __future__ import annotations

from collections.abc import Iterator

from b2emulator.access.capabilities import ACCOUNT_ONLY, ALL
from b2emulator.admin import Admin
from b2emulator.local import LocalB2, LocalBucket, LocalKey

try:
    import pytest
except ImportError:  # an installation without tests: nothing to offer
    pass
else:

    @pytest.fixture(scope="session")
    def b2_options() -> list[str]:
        """Options of `python -m b2emulator`; override it to change them."""
        return []

    @pytest.fixture(scope="session")
    def b2_server(b2_options: list[str]) -> Iterator[LocalB2]:
        """One emulator for the session."""
        with LocalB2("--memory", "--max-buckets", "100000", *b2_options) as server:
            yield server

    @pytest.fixture
    def b2(b2_server: LocalB2) -> Iterator[LocalB2]:
        """The session's emulator without the faults and the journal of other tests."""
        b2_server.admin.reset()
        yield b2_server
        b2_server.admin.reset()

    @pytest.fixture
    def b2_bucket(b2: LocalB2) -> LocalBucket:
        """A private bucket of this test's own."""
        return b2.create_bucket()

    @pytest.fixture
    def b2_key(b2: LocalB2, b2_bucket: LocalBucket) -> LocalKey:
        """A key restricted to `b2_bucket`."""
        granted = [capability for capability in ALL if capability not in ACCOUNT_ONLY]
        return b2.create_key(granted, bucket=b2_bucket)

    @pytest.fixture
    def b2_faults(b2: LocalB2) -> Admin:
        """Faults on request; all are lifted after the test."""
        return b2.admin
