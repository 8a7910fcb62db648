"""`b2jobs job`: list, show, watch, cancel, retry."""

from __future__ import annotations

from acceptance.conftest import Run
from support.fake import Fake
from support.installation import Installation
from support.waiting import eventually


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
    said = idle("job", "list")
    assert (said.status, said.out, said.err) == (0, "", "There are no such jobs.\n")
    assert idle("job", "list", "--json").out == ""


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


# The job that plans a batch waits while its packs run: `job list` said `waiting`, `window`.
def test_a_batch_is_in_every_list_as_it_stands(idle: Run, installation: Installation) -> None:
    installation.start_celery("w", app="support.batch_app")
    rows = [
        {"source": f"data://r/{name}", "destination": f"b2://some-bucket/{n}"}
        for n, name in enumerate(("hold", "bad", "fine"))
    ]
    batch = installation.client.batch_items(rows)
    upload = idle("upload", "data://r/x", "b2://some-bucket/x").out.strip()
    eventually(lambda: batch.status().outcomes.get("failed"))
    eventually(lambda: batch.record().state == "waiting")

    assert batch.status().state == batch.state() == "running"
    assert idle("job", "show", batch.id, "--json").json["state"] == "running"
    for arguments in (("--kind", "batch"), ("--state", "running"), ()):
        listed = idle("job", "list", *arguments, "--json").lines
        assert [each["state"] for each in listed if each["id"] == batch.id] == ["running"]
    assert idle("job", "list", "--state", "waiting", "--json").lines == []
    assert [each["id"] for each in idle("job", "list", "--kind", "upload", "--json").lines] == [
        upload
    ]
    [head, row] = idle("batch", "list").out.splitlines()
    assert head.split()[:3] == ["ID", "KIND", "STATE"]
    assert row.split()[:3] == [batch.id, "batch", "running"]
    early = idle("batch", "report", batch.id, "--failed")
    assert "The batch is running" in early.err

    (installation.folder / "fake" / "let-go").touch()
    eventually(batch.ended)

    report = idle("batch", "report", batch.id, "--failed")
    assert (report.status, report.err) == (0, "")
    assert [(line["code"], line["source"]) for line in report.lines] == [
        ("source_missing", "data://r/bad")
    ]
    assert [each["state"] for each in idle("batch", "list", "--json").lines] == ["failed"]


def test_cancel_says_what_becomes_of_a_job(idle: Run, fake: Fake) -> None:
    worker = fake.installation.start_celery()
    begun = fake.submit(fail="busy", wait=300)
    eventually(lambda: begun.state() == "waiting")
    worker.stop()
    fresh = fake.submit()

    done = idle("job", "cancel", begun.id, fresh.id)

    assert done.out == f"{begun.id}  queued, will be cancelled\n{fresh.id}  cancelled\n"
    fake.installation.start_celery("second")
    eventually(lambda: begun.state() == "cancelled")
    assert idle("job", "cancel", begun.id).out == f"{begun.id}  cancelled\n"
