"""Whatever is given: a value, or an error of ours that says what is wrong. Never anything else."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from b2jobs.errors import InvalidJob, OperatorError
from b2jobs.items import unpacked
from b2jobs.ledger import lines_of, packed_rows, readable, rows_of
from b2jobs.manifest import row
from b2jobs.record import record_of
from b2jobs.requests import KINDS, build
from b2jobs.schedule import define
from b2jobs.schedule_status import status_of
from b2jobs_worker import settings as worker_settings

TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        *("b2://bucket/x", "b2://bucket/", "data://.my/x", "data:;base64,eA==", "https://h/x"),
        *("b2id://4_z", "s3://b/k", "file:///x", "latest", "all", "*", "1 day", "\ud800", "\0"),
        *("https://u:p@h/", "https://[::1", "b2://b/" + "x" * 2000, "staged://x?bytes=1"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({name for kind in KINDS.values() for name in kind.model_fields})
ARGUMENTS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), VALUES, max_size=6)


@given(kind=st.sampled_from([*KINDS, "no such kind", ""]), arguments=ARGUMENTS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_request_is_one_or_refused_by_name(kind: str, arguments: dict[str, Any]) -> None:
    with suppress(InvalidJob):
        json.dumps(build(kind, arguments).arguments())


@given(fields=VALUES)
def test_a_line_of_a_manifest_is_an_item_or_says_why_not(fields: object) -> None:
    packed = row(1, fields).packed()
    assert unpacked(json.loads(json.dumps(packed))).packed() == packed


@given(raw=st.binary(max_size=60) | VALUES.map(lambda found: packed_rows([repr(found)])))
def test_what_is_packed_is_rows_or_nothing_of_ours(raw: bytes) -> None:
    with suppress(OperatorError):
        for each in rows_of(raw):
            with readable():
                unpacked(each)
    with suppress(OperatorError):
        list(lines_of(raw))


@given(
    values=st.dictionaries(
        st.sampled_from([*sorted(record_of({}).__dict__), "retry", "request"]), TEXTS, max_size=8
    )
)
def test_any_hash_is_read_as_a_record(values: dict[str, str]) -> None:
    found = record_of(values)
    json.dumps(found.as_json())
    json.dumps(found.as_json(is_listed=True))


@given(name=TEXTS, values=st.dictionaries(TEXTS | st.sampled_from(
    ["job", "arguments", "every", "cron", "timezone", "jitter", "overlap", "missed"]
), VALUES, max_size=5), state=TEXTS | VALUES.map(repr))  # fmt: skip
def test_a_schedule_and_its_state_are_read_or_refused(
    name: str, values: dict[str, Any], state: str
) -> None:
    with suppress(InvalidJob):
        define(name, values)
    json.loads(status_of(state).dumped())


@given(content=st.binary(max_size=80) | st.dictionaries(
    st.sampled_from(["roots", "policy", "schedules", "slots", "prices", "limits"]) | TEXTS, TEXTS
).map(lambda found: "\n".join(f"{json.dumps(n)} = {json.dumps(v)}" for n, v in found.items())
      .encode(errors="replace")))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_config_file_is_read_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    monkeypatch.setenv("B2JOBS_CONFIG", str(path))
    with suppress(OperatorError):
        worker_settings.load()
