"""A worker's log: one line a job's end, no secrets, nothing that moves a terminal."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest
from b2sdk._internal.exception import interpret_b2_error

from b2jobs.errors import Failure
from b2jobs_worker import logs
from b2jobs_worker.delivery.claims import Claim
from b2jobs_worker.delivery.ends import log_end, place
from b2jobs_worker.transfer.threads import Threads


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def claim(**arguments: str) -> Claim:
    return Claim(
        job_id="j1",
        fence="1:r",
        attempt=2,
        kind="upload",
        request=json.dumps(arguments),
        elapsed_seconds=3.0,
        retry_seconds=60.0,
        losses=0,
        is_cancelled=False,
        priority="normal",
        key="",
        signature="",
        is_used_up=False,
    )


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


RESULT = {"size": 1234, "calls": {"a": 2, "b": 0, "c": 1}}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_libraries_warn_of_is_one_line_at_debug(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    # b2sdk warns of a 400 without a code: two lines of Python in the middle of a worker's log.
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.set_up(log_format, "info", "w1")
        interpret_b2_error(400, None, "no\n\x1b[2Jcode", {})
        assert said(capsys) == ""

        logs.set_up(log_format, "debug", "w1")
        interpret_b2_error(400, None, "no\n\x1b[2Jcode", {})

    [line] = [each for each in said(capsys).splitlines() if "py.warnings" in each]
    assert "UserWarning: bad request exception" in line
    assert "\x1b" not in line


def test_an_end_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "info", "w1")
    where = {"source": "https://u:p@example.com/x?sig=secret", "destination": "b2://bucket/x"}
    log_end(claim(**where), "succeeded", 3.25, result=RESULT)
    [line] = said(capsys).splitlines()
    assert " INFO w1 b2jobs_worker.jobs: job j1: succeeded: upload " in line
    assert "https://example.com/x?... -> b2://bucket/x" in line
    assert line.endswith("bytes=1234 seconds=3.25 attempts=2 calls=2/0/1")


def test_an_end_as_json_has_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json", "warning", "w1")
    failure = Failure(code="no_such_file", message="There is no \x1b[31mfile.", act="caller")
    log_end(
        claim(source="data://.my/a\nb", destination="b2://bucket/x"), "failed", 1, failure=failure
    )
    log_end(claim(source="a", destination="b"), "succeeded", 1, result=RESULT)
    [line] = said(capsys).splitlines()
    found = json.loads(line)
    assert {
        name: found[name] for name in ("job", "kind", "state", "code", "attempts", "level")
    } == {
        "job": "j1",
        "kind": "upload",
        "state": "failed",
        "code": "no_such_file",
        "attempts": 2,
        "level": "warning",
    }
    assert (found["process"], found["source"]) == ("w1", "data://.my/a\nb")


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\nINFO forged", "a\u202eb", "a\x9b31mb", "\ud800"])
def test_no_name_moves_the_terminal_or_makes_a_line(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    logs.set_up("text", "info", "w1")
    log_end(claim(source=f"data://.my/{name}", destination="b2://bucket/x"), "succeeded", 1)
    try:
        raise ValueError(name)
    except ValueError:
        logging.getLogger("x").exception("broke")
    lines = said(capsys).splitlines()
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("INFO forged") for line in lines)
    assert "Traceback" in lines[2]


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("b2://bucket/x?y", "b2://bucket/x?y"),
        ("https://host/p", "https://host/p"),
        ("http://user:word@host/p?X-Amz-Signature=1#f", "http://host/p?..."),
        ("https://[::bad/x?sig=1", "https: (not a URL)"),
        ("data:text/plain;base64,c2VjcmV0", "data:text/plain (6 B)"),
        ("staged://0f/a%20b.png?bytes=2048&sha1=1", "a b.png (handed over, 2.0 KiB)"),
        ("data://root/p", "data://root/p"),
        ("b2://bucket/" + "x" * 999, "b2://bucket/" + "x" * 288 + "..."),
    ],
)
def test_what_signs_a_url_is_cut(location: str, shown: str) -> None:
    assert place(location) == shown


def test_it_goes_to_stderr() -> None:
    logs.set_up("text", "info", "w1")
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr


def test_what_is_logged_within_an_attempt_is_about_its_job(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also in the threads that move its parts, and no longer than it lasts."""
    logs.set_up("json", "info", "w1")
    with logs.about(job="j1", batch="", trace="abc"), Threads(2).lanes(2) as lanes:
        lanes.submit(logging.warning, "a part")
    logging.warning("something else")
    part, rest = (json.loads(line) for line in said(capsys).splitlines())
    assert (part["message"], part["job"], part["trace"]) == ("a part", "j1", "abc")
    assert "batch" not in part
    assert "job" not in rest
