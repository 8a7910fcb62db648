"""`b2jobs job`: list, show, watch, cancel, retry."""

from __future__ import annotations

from acceptance.conftest import Run
from support.fake import Fake


def test_what_is_listed(idle: Run) -> None:
    first = idle("upload", "data:,x", "b2://some-bucket/x").out.strip()
    second = idle("delete", "b2://some-bucket/y", "--priority", "high").out.strip()
    idle("job", "cancel", first)

    everything = idle("job", "list")
    queued = idle("job", "list", "--state", "queued", "--json")

    head, *rows = [line.split() for line in everything.out.splitlines()]
    assert head[:4] == ["ID", "KIND", "STATE", "AGE"]
    assert [row[0] for row in rows] == [second, first]
    assert rows[0][1:3] == ["delete", "queued"]
    assert rows[0][-2:] == ["no_worker", "b2://some-bucket/y"]
    assert "-> b2://some-bucket/x" in everything.out
    assert [record["id"] for record in queued.lines] == [second]


def test_an_empty_list_is_empty(idle: Run) -> None:
    assert idle("job", "list") == idle("job", "list", "--json")
    assert idle("job", "list").out == ""


def test_show_says_why_a_job_waits(idle: Run) -> None:
    job_id = idle("upload", "data:,x", "b2://some-bucket/x").out.strip()

    plain, as_json = idle("job", "show", job_id), idle("job", "show", job_id, "--json")

    assert "no_worker" in plain.out
    assert as_json.json["id"] == job_id
    assert as_json.json["state"] == "queued"
    assert as_json.json["reason"] == "no_worker"
    assert as_json.json["request"]["destination"] == "b2://some-bucket/x"
    assert as_json.json["request"]["source"] == "bytes (handed over, 1 B)"
    assert as_json.json["staged_bytes"] == 1


def test_retry_by_id_by_code_and_all(idle: Run, fake: Fake) -> None:
    worker = fake.installation.start_celery()
    ends = ["source_missing", "source_missing", "disk_full"]
    jobs = [fake.submit(end=end) for end in ends]
    for job in jobs:
        assert idle("job", "wait", job.id).status == 1
    worker.stop()

    by_code = idle("job", "retry", "--code", "source_missing", "--json")
    rest = idle("job", "list", "--state", "failed", "--json")
    by_id = idle("job", "retry", jobs[2].id)
    nothing = idle("job", "retry", "--all")

    assert {line["job"] for line in by_code.lines} == {jobs[0].id, jobs[1].id}
    assert {line["state"] for line in by_code.lines} == {"queued"}
    assert [record["id"] for record in rest.lines] == [jobs[2].id]
    assert by_id.out == f"{jobs[2].id}  queued\n"
    assert (nothing.status, nothing.out) == (0, "")


def test_list_by_code(idle: Run, fake: Fake) -> None:
    fake.installation.start_celery()
    wanted = fake.submit(end="disk_full")
    other = fake.submit(end="source_missing")
    for job in (wanted, other):
        idle("job", "wait", job.id)

    found = idle("job", "list", "--code", "disk_full", "--json")

    assert [record["id"] for record in found.lines] == [wanted.id]


def test_watch_prints_every_change_and_the_end(cli: Run, bucket: str) -> None:
    job_id = cli("upload", "data:,hello", f"b2://{bucket}/x").out.strip()

    plain, as_json = cli("job", "watch", job_id), cli("job", "watch", job_id, "--json")

    assert plain.out.splitlines()[-1] == "succeeded"
    assert as_json.lines[-1]["state"] == "succeeded"
    assert as_json.lines[-1]["result"]["size"] == 5
