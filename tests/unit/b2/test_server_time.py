"""The time by which old versions are judged: never ahead of B2's."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from b2jobs_worker.b2.http import Session


@pytest.mark.parametrize(("behind", "expected"), [(86_400, -86_400), (-86_400, 0), (0, 0)])
def test_a_clock_that_is_ahead_of_b2_does_not_count(behind: int, expected: int) -> None:
    """A worker a day ahead removed versions that were visible within `keep_days`."""
    session = Session()
    now = time.time()
    session.heard = formatdate(now - behind, usegmt=True), time.monotonic() - 5
    seconds = session.server_millis() / 1000 - now
    assert expected - 2 <= seconds - (5 if behind > 0 else 0) <= expected + 3


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_without_a_date_our_own_clock_counts(date: str | None) -> None:
    session = Session()
    session.heard = date, time.monotonic()
    assert abs(session.server_millis() / 1000 - time.time()) < 5
