"""What urllib3 and web servers say becomes an error that names who must act."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from urllib3 import exceptions as foreign

from b2jobs_worker.sources.web_failures import TRANSPORT, retry_after, status_error

UNUSED = {
    foreign.HTTPError,  # the root
    foreign.PoolError,  # roots of others
    foreign.RequestError,
    foreign.TimeoutStateError,  # a misuse of Timeout
}


def test_every_exception_of_urllib3_is_mapped() -> None:
    theirs = {
        kind
        for _, kind in inspect.getmembers(foreign, inspect.isclass)
        if issubclass(kind, foreign.HTTPError)
    }
    mapped = tuple(kind for kind, _ in TRANSPORT)
    assert {kind for kind in theirs - UNUSED if not issubclass(kind, mapped)} == set()


@pytest.mark.parametrize(
    ("status", "code", "act"),
    [
        (404, "source_missing", "caller"),
        (410, "source_missing", "caller"),
        (401, "source_forbidden", "caller"),
        (403, "source_forbidden", "caller"),
        (400, "source_refused", "caller"),
        (204, "source_refused", "caller"),
        (304, "source_refused", "caller"),
        (408, "source_busy", "nobody"),
        (429, "source_busy", "nobody"),
        (500, "source_unavailable", "nobody"),
        (503, "source_unavailable", "nobody"),
    ],
)
def test_every_status_has_a_code(status: int, code: str, act: str) -> None:
    error = status_error(status, {"Retry-After": "17"}, "https://host/file")
    assert (error.code, error.act) == (code, act)
    assert (error.wait.seconds if error.wait else None) == (17.0 if act == "nobody" else None)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "²"])
def test_a_retry_after_that_says_nothing(text: str) -> None:
    assert retry_after({"Retry-After": text}) is None
    assert retry_after({}) is None


def test_a_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True)
    seconds = retry_after({"Retry-After": later})
    assert seconds is not None
    assert 3000 < seconds <= 3600
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
