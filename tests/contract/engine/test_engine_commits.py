"""Calls that commit, and answers that are lost, late or wrong: one effect, whatever was said.

A finish that answered 503 after its effect made a job fail with `bad_request` though the
file was there; a 503 or 429 after an upload or a copy made a second version, and a third.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from b2jobs.errors import JobError
from b2jobs.requests import build
from b2jobs_worker import transfer
from b2jobs_worker.attempt import MemoryJournal
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from contract.engine.corner import BUCKET, Bench

copying = importlib.import_module("b2jobs_worker.transfer.copy")
copy_large = importlib.import_module("b2jobs_worker.transfer.copy_large")
small = importlib.import_module("b2jobs_worker.transfer.small")

LARGE = os.urandom(700_001)
FULL = {f"k{number}": "v" for number in range(9)}
"""With its time a source has ten entries: no room for a mark."""


def upload(bench: Bench, content: bytes) -> str:
    result = bench.run("upload", source=bench.put("x", content), destination=bench.b2("b"))
    assert result.sha1 == hashlib.sha1(content).hexdigest()
    return str(result.file_id)


def copy(bench: Bench) -> str:
    result = bench.run(
        "copy", bench.attempt("copy"), source=bench.b2("a"), destination=bench.b2("b")
    )
    return str(result.file_id)


def seed(bench: Bench, content: bytes, info: dict[str, str]) -> None:
    client = bench.context.client("default", bench.attempt())
    client.upload_file(
        client.bucket(BUCKET),
        f"{bench.prefix}a",
        content,
        length=len(content),
        sha1=hashlib.sha1(content).hexdigest(),
        content_type="text/plain",
        info=info,
        in_doubt=lambda: None,
    )


def prepare_copy(bench: Bench) -> None:
    seed(bench, b"hello", {})


def prepare_full(bench: Bench) -> None:
    seed(bench, b"hello", {**FULL, "src_last_modified_millis": "1000"})


def prepare_large_copy(bench: Bench) -> None:
    seed(bench, LARGE, {})


def prepare_large_full(bench: Bench) -> None:
    seed(bench, LARGE, {**FULL, "src_last_modified_millis": "1000"})


def nothing(bench: Bench) -> None:
    del bench


MAKING: dict[str, tuple[str, Callable[[Bench], None], Callable[[Bench], str]]] = {
    "small upload": ("b2_upload_file", nothing, lambda bench: upload(bench, b"small")),
    "streamed upload": ("b2_upload_file", nothing, lambda bench: upload(bench, b"x" * 9_000)),
    "large upload": ("b2_finish_large_file", nothing, lambda bench: upload(bench, LARGE)),
    "large upload begun": ("b2_start_large_file", nothing, lambda bench: upload(bench, LARGE)),
    "copy": ("b2_copy_file", prepare_copy, copy),
    "copy without room for a mark": ("b2_copy_file", prepare_full, copy),
    "large copy": ("b2_finish_large_file", prepare_large_copy, copy),
    "large copy begun": ("b2_start_large_file", prepare_large_copy, copy),
    "large copy without room": ("b2_start_large_file", prepare_large_full, copy),
}
AFTER: dict[str, tuple[str, dict[str, Any]]] = {
    "lost": ("lost_response", {}),
    "503": ("service_unavailable", {"after_call": True}),
    "429": ("too_many_requests", {"after_call": True, "retry_after": 1}),
    "500": ("internal_error", {"after_call": True}),
}


@pytest.fixture
def short(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Small sizes for what is streamed and what goes in parts."""
    monkeypatch.setattr(small, "WHOLE_BYTES", 1_000)
    monkeypatch.setattr(copying, "ONE_CALL_BYTES", 500_000)
    monkeypatch.setattr(copy_large, "PART_BYTES", 100_000)
    return bench


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("what", MAKING)
def test_unanswered(short: Bench, what: str, after: str) -> None:
    call, prepare, act = MAKING[what]
    prepare(short)
    fault, options = AFTER[after]
    short.admin.fault(fault, calls=call, next=1, **options)
    file_id = act(short)
    [version] = short.versions("b")
    assert (version.file_id, version.action) == (file_id, "upload")
    assert short.admin.faults()[0]["struck"] == 1


@pytest.mark.parametrize("what", [what for what in MAKING if "begun" in what or "copy" in what[:6]])
def test_late(short: Bench, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look does not see what the first try makes: its effect comes behind the look."""
    call, prepare, act = MAKING[what]
    prepare(short)
    short.admin.fault("service_unavailable", calls=call, next=1, after_call=True)
    looked: list[str] = []
    whole = B2Client.versions_of

    def late(client: B2Client, bucket: BucketName, name: str) -> Iterator[FileVersion]:
        looked.append(name)
        before = 2 if "without" in what else 1  # where there is no mark, what is there is noted
        return iter(()) if len(looked) <= before else whole(client, bucket, name)

    monkeypatch.setattr(B2Client, "versions_of", late)
    file_id = act(short)
    monkeypatch.undo()
    monkeypatch.setattr(copying, "ONE_CALL_BYTES", 500_000)
    [version] = short.versions("b")
    assert (version.file_id, version.action) == (file_id, "upload")
    assert looked


@pytest.mark.parametrize("after", AFTER)
def test_what_was_removed_without_an_answer_counts(bench: Bench, after: str) -> None:
    fault, options = AFTER[after]
    bench.run("upload", source="data:,x", destination=bench.b2("b"))
    bench.admin.fault(fault, calls="b2_delete_file_version", next=1, **options)
    assert bench.run("delete", target=bench.b2("b")).deleted == 1
    assert bench.versions("b") == []


@pytest.mark.parametrize("after", AFTER)
def test_a_bucket_is_made_and_removed_once(bench: Bench, after: str) -> None:
    fault, options = AFTER[after]
    name = f"doubtful-bucket-{after}"
    bench.admin.fault(fault, calls="b2_create_bucket", next=1, **options)
    assert bench.run("bucket", action="create", name=name).status == "created"
    bench.admin.fault(fault, calls="b2_delete_bucket", next=1, **options)
    assert bench.run("bucket", action="delete", name=name).status == "deleted"
    assert bench.run("bucket", action="delete", name=name).status == "unchanged"


@pytest.mark.parametrize("after", AFTER)
def test_a_file_is_hidden_once(bench: Bench, after: str) -> None:
    fault, options = AFTER[after]
    bench.run("upload", source="data:,x", destination=bench.b2("b"))
    client = bench.context.client("default", bench.attempt())
    bench.admin.fault(fault, calls="b2_hide_file", next=1, **options)
    marker = client.hide_file(client.bucket(BUCKET), f"{bench.prefix}b")
    assert marker is not None
    assert [each.action for each in bench.versions("b")] == ["hide", "upload"]


def test_a_start_that_never_answers_leaves_nothing_when_the_job_ends(short: Bench) -> None:
    journal = MemoryJournal()
    arguments = {"source": short.put("x", LARGE), "destination": short.b2("b")}
    short.admin.fault("lost_response", calls="b2_start_large_file")
    short.admin.fault("service_unavailable", calls="b2_list_file_versions")
    with pytest.raises(JobError) as caught:
        short.run("upload", short.attempt(journal=journal), **arguments)
    assert caught.value.wait is not None
    short.admin.clear_faults()
    assert {each.action for each in short.versions("b")} == {"start"}
    request = build("upload", arguments)
    transfer.abandon(request, short.attempt(number=2, journal=journal), short.context)
    assert short.versions("b") == []


def test_a_planted_file_with_the_job_s_name_is_not_taken_for_its_own(bench: Bench) -> None:
    """A second attempt took six planted bytes for its eleven and called them verified."""
    planted = {"b2jobs_job": f"{bench.prefix}job-1"}
    seed(bench, b"forged", planted)
    result = bench.run(
        "upload", bench.attempt(number=2), source="data:,hello%20world", destination=bench.b2("a")
    )
    assert (result.size, result.sha1) == (11, hashlib.sha1(b"hello world").hexdigest())
    assert [each.size for each in bench.versions("a")] == [11, 6]


def test_a_copied_mark_does_not_help_other_bytes(bench: Bench) -> None:
    first = bench.run("upload", source="data:,hello%20world", destination=bench.b2("a"))
    [ours] = bench.versions("a")
    seed(bench, b"hello forge", dict(ours.info))
    again = bench.run(
        "upload", bench.attempt(number=2), source="data:,hello%20world", destination=bench.b2("a")
    )
    assert again.file_id == first.file_id
    assert [each.file_id for each in bench.versions("a")] == [first.file_id]


def foreign(bench: Bench, name: str) -> str:
    """Somebody else's unfinished large file."""
    client = bench.context.client("default", bench.attempt())
    return client.start_large_file(
        client.bucket(BUCKET), bench.prefix + name, "text/plain", {}, in_doubt=lambda: None
    )


@pytest.mark.parametrize("name", ["b", "other"])
@pytest.mark.parametrize("act", ["goes on", "abandons"])
def test_a_forged_journal_touches_nobody_s_large_file(short: Bench, act: str, name: str) -> None:
    """Whoever wrote another id into the journal had that file cancelled."""
    file_id = foreign(short, name)
    arguments = {"source": short.put("x", LARGE), "destination": short.b2("b")}
    client = short.context.client("default", short.attempt())
    journal = MemoryJournal()
    journal.fields["large"] = json.dumps(
        {
            "file_id": file_id,
            "bucket_id": client.bucket(BUCKET).bucket_id,
            "name": f"{short.prefix}b",
            "identity": "whatever",
            "size": len(LARGE),
            "part_bytes": 200_000,
        }
    )
    attempt = short.attempt(number=2, journal=journal)
    if act == "abandons":
        transfer.abandon(build("upload", arguments), attempt, short.context)
    else:
        short.run("upload", attempt, **arguments)
    assert client.is_unfinished(file_id)


def test_a_forged_journal_deletes_nothing_else(bench: Bench) -> None:
    """A delete removed a version outside its prefix."""
    for name in ("d/a", "e/b"):
        bench.run("upload", source="data:,x", destination=bench.b2(name))
    [other] = bench.versions("e/b")
    journal = MemoryJournal()
    journal.fields["page"] = json.dumps(
        {
            "versions": [[other.file_id, other.name, "upload"]],
            "next": None,
            "name": "",
            "deleted": 0,
        }
    )
    bench.run("delete", bench.attempt(number=2, journal=journal), target=bench.b2("d/"))
    assert [each.file_id for each in bench.versions("e/b")] == [other.file_id]
