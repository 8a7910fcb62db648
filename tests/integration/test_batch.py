"""Batches through a real Redis, real workers and the local B2."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import uuid
from pathlib import Path

import pytest

import b2jobs
from b2jobs.errors import JobFailed
from support.installation import Installation
from support.waiting import eventually


@pytest.fixture
def bucket(stack: Installation) -> str:
    name = f"batch-{uuid.uuid4().hex[:12]}"
    stack.client.bucket("create", name).wait(timeout=60)
    return name


@pytest.fixture
def folder(stack: Installation) -> Path:
    path = stack.data / uuid.uuid4().hex[:8]
    path.mkdir()
    return path


def fill(folder: Path, count: int, size: int = 100) -> dict[str, bytes]:
    files = {}
    for at in range(count):
        name = f"d{at % 7}/f{at:05}.bin"
        content = random.Random(at).randbytes(size)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        files[name] = content
    return files


def test_everything_below_a_prefix_is_uploaded_and_reported(
    stack: Installation, bucket: str, folder: Path
) -> None:
    files = fill(folder, 300)
    batch = stack.client.batch(f"data://.my/{folder.name}/", f"b2://{bucket}/in/")
    result = batch.wait(timeout=60)
    assert result.items == 300
    assert result.outcomes == {"transferred": 300}
    assert result.moved_bytes == 30_000
    *lines, last = [json.loads(text) for text in batch.report()]
    summary = last["summary"]
    assert summary["lines"] == len(lines) == 300
    assert {line["destination"] for line in lines} == {f"b2://{bucket}/in/{n}" for n in files}
    for line in lines:
        content = files[line["source"].split(folder.name + "/")[1]]
        assert line["sha1"] == hashlib.sha1(content).hexdigest()
        assert line["size"] == 100
        assert line["file_id"]
    left = stack.keys()
    assert not [key for key in left if ".p0" in key], "packs leave nothing"


def test_a_manifest_reports_bad_lines_by_number_and_does_the_rest(
    stack: Installation, bucket: str, folder: Path
) -> None:
    fill(folder, 3)
    source = f"data://.my/{folder.name}"
    lines = [
        "source,destination,size,sha1",
        f"{source}/d0/f00000.bin,b2://{bucket}/a,100,",
        "nonsense",
        f"{source}/d1/f00001.bin,b2://{bucket}/a,,",
        f"{source}/gone.bin,b2://{bucket}/gone,,",
        f"{source}/d2/f00002.bin,b2://no-such-bucket-here/x,,",
        f"{source}/d1/f00001.bin,b2://{bucket}/b,,{'0' * 40}",
        f"data://unknown/x,b2://{bucket}/c,,",
    ]
    manifest = folder / "list.csv.gz"
    manifest.write_bytes(gzip.compress("\n".join(lines).encode()))
    batch = stack.client.batch(f"data://.my/{folder.name}/list.csv.gz")
    with pytest.raises(JobFailed) as failed:
        batch.wait(timeout=60)
    assert failed.value.code == "items_failed"
    now = batch.status()
    assert now.refused == 4
    assert now.outcomes == {"transferred": 1, "failed": 6}
    found = {line["line"]: line.get("code", "") for line in batch.lines()}
    assert found == {
        2: "",
        3: "line_broken",
        4: "duplicate_destination",
        5: "source_missing",
        6: "bucket_not_found",
        7: "sha1_differs",
        8: "root_unknown",
    }


def test_a_strict_batch_moves_nothing_when_a_line_is_bad(
    stack: Installation, bucket: str, folder: Path
) -> None:
    fill(folder, 1)
    manifest = folder / "list.jsonl"
    good = {"source": f"data://.my/{folder.name}/d0/f00000.bin", "destination": f"b2://{bucket}/a"}
    manifest.write_text(json.dumps(good) + "\n{broken\n")
    batch = stack.client.batch(f"data://.my/{folder.name}/list.jsonl", strict=True)
    with pytest.raises(JobFailed) as failed:
        batch.wait(timeout=60)
    assert failed.value.code == "plan_refused"
    assert "line 2" in failed.value.failure.message
    assert list(batch.lines()) == []


def test_items_stream_in_and_failures_are_run_again(
    stack: Installation, bucket: str, folder: Path
) -> None:
    fill(folder, 40)
    missing = folder / "later.bin"
    items = [
        {
            "source": f"data://.my/{folder.name}/d{at % 7}/f{at:05}.bin",
            "destination": f"b2://{bucket}/{at}",
        }
        for at in range(40)
    ]
    items.append(
        {"source": f"data://.my/{folder.name}/later.bin", "destination": f"b2://{bucket}/later"}
    )
    batch = stack.client.batch_items(iter(items))
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    assert batch.status().codes == {"source_missing": 1}
    missing.write_bytes(b"now it is there")
    assert batch.retry(only_failed=True, codes=["other_code"]) == "queued"
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    batch.retry(only_failed=True)
    result = batch.wait(timeout=60)
    assert result.outcomes == {"transferred": 41}
    assert len(list(batch.lines())) == 41


def test_down_and_across_and_patterns(stack: Installation, bucket: str, folder: Path) -> None:
    files = fill(folder, 30)
    client = stack.client
    client.batch(f"data://.my/{folder.name}/", f"b2://{bucket}/a/").wait(timeout=60)
    across = client.batch(f"b2://{bucket}/a/", f"b2://{bucket}/b/", exclude=["f00003.bin"])
    assert across.wait(timeout=60).outcomes == {"transferred": 29}
    down = client.batch(f"b2://{bucket}/b/", f"data://.my/{folder.name}-down/", include=["d1/"])
    wanted = {name for name in files if name.startswith("d1/")}
    assert down.wait(timeout=60).outcomes == {"transferred": len(wanted)}
    target = folder.with_name(f"{folder.name}-down")
    for name in wanted:
        assert (target / name).read_bytes() == files[name]


def test_a_dry_run_counts_and_moves_nothing(stack: Installation, bucket: str, folder: Path) -> None:
    fill(folder, 10)
    batch = stack.client.batch(f"data://.my/{folder.name}/", f"b2://{bucket}/dry/", dry_run=True)
    result = batch.wait(timeout=60)
    assert result.status == "dry_run"
    assert result.plan == {"upload": {"items": 10, "size_bytes": 1000}}
    assert result.calls == {"a": 10, "b": 0, "c": 0}
    shown = stack.run("batch", "show", batch.id).stdout
    assert "A dry run: nothing was moved." in shown
    assert re.search(r"^upload +10 +1000 B$", shown, re.MULTILINE)
    manifest = "source,destination\n" + "".join(
        f"data://.my/{folder.name}/{name},b2://{bucket}/same\nnowhere,b2://{bucket}/{name}\n"
        for name in "ab"
    )
    (folder / "list.csv").write_text(manifest)
    dry = stack.client.batch(f"data://.my/{folder.name}/list.csv", dry_run=True)
    assert dry.wait(timeout=60).plan["refused"]["items"] == 3
    shown = stack.run("batch", "show", dry.id).stdout
    assert re.search(r"^refused +3 ", shown, re.MULTILINE)
    assert re.findall(r"^refused  line (\d): ", shown, re.MULTILINE) == ["3", "4", "5"]
    empty = stack.client.batch(f"b2://{bucket}/dry/", f"b2://{bucket}/x/").wait(timeout=60)
    assert isinstance(empty, b2jobs.BatchResult)
    assert empty.items == 0


def test_cancelled_batches_end_and_go_on_when_retried(
    stack: Installation, bucket: str, folder: Path
) -> None:
    fill(folder, 2000)
    batch = stack.client.batch(f"data://.my/{folder.name}/", f"b2://{bucket}/c/")
    eventually(lambda: batch.status().finished_items > 50, timeout=30)
    batch.cancel()
    eventually(lambda: batch.state() == "cancelled", timeout=30)
    now = batch.status()
    assert sum(now.outcomes.values()) == now.items
    assert batch.retry() == "queued"
    result = batch.wait(timeout=60)
    assert result.outcomes == {"transferred": 2000}
    assert len({line["destination"] for line in batch.lines()}) == 2000


def test_a_paused_batch_waits_and_loses_nothing(
    stack: Installation, bucket: str, folder: Path
) -> None:
    fill(folder, 2000)
    batch = stack.client.batch(f"data://.my/{folder.name}/", f"b2://{bucket}/p/")
    eventually(lambda: batch.status().finished_items > 50, timeout=30)
    batch.pause()
    eventually(lambda: batch.status().reason == "paused", timeout=10)
    held = batch.status().finished_items
    assert held < 2000
    batch.resume()
    assert batch.wait(timeout=60).outcomes == {"transferred": 2000}


def test_a_report_is_verified_by_listing(stack: Installation, bucket: str, folder: Path) -> None:
    fill(folder, 50)
    client = stack.client
    prefix = f"b2://{bucket}/v/"
    batch = client.batch(f"data://.my/{folder.name}/", prefix)
    batch.wait(timeout=60)
    report = list(batch.report())
    found = client.verify(report, prefix=prefix).wait(timeout=60)
    assert found.agrees
    assert found.checked == 50
    assert found.calls["c"] <= 2
    client.delete(f"{prefix}d0/f00000.bin").wait(timeout=60)
    client.upload("data:,other", f"{prefix}d1/f00001.bin").wait(timeout=60)
    client.upload("data:,more", f"{prefix}extra").wait(timeout=60)
    found = client.verify(report, prefix=prefix).wait(timeout=60)
    assert (found.missing, found.different, found.extra) == (1, 1, 1)
    report[3] = report[3].replace('"attempts":1', '"attempts":2')
    with pytest.raises(b2jobs.InvalidJob) as refused:
        client.verify(report)
    assert refused.value.code == "report_invalid"


def test_the_command_line_goes_from_a_local_manifest_to_a_verified_report(
    stack: Installation, bucket: str, folder: Path
) -> None:
    fill(folder, 20)
    rows = [
        f"data://.my/{folder.name}/d{at % 7}/f{at:05}.bin,b2://{bucket}/{at}" for at in range(20)
    ]
    manifest = stack.folder / f"{folder.name}.csv"
    manifest.write_text("\n".join(["source,destination", *rows, "broken", rows[0]]))

    run = stack.run
    refused = run("batch", "submit", str(manifest), "--strict")
    assert refused.returncode == 2, refused.stderr
    assert "line 22" in refused.stderr
    assert "line 23" in refused.stderr
    done = run("batch", "submit", str(manifest), "--wait", "--json")
    assert done.returncode == 1, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["outcomes"] == {"transferred": 20, "failed": 2}
    report = run("batch", "report", last["job"])
    path = stack.folder / f"{folder.name}.jsonl"
    path.write_text(report.stdout)
    checked = run("batch", "verify", str(path))
    assert checked.returncode == 0, checked.stderr
    assert "20 files checked: 0 missing" in checked.stdout
    shown = json.loads(run("batch", "show", last["job"], "--json").stdout)
    assert shown["codes"] == {"duplicate_destination": 1, "line_broken": 1}
    dry = run(
        *("batch", "submit", f"data://.my/{folder.name}/", f"b2://{bucket}/x/", "--dry-run"),
        "--json",
    )
    assert dry.returncode == 0, dry.stderr
    assert json.loads(dry.stdout.splitlines()[-1])["plan"]["upload"]["items"] == 20
    streamed = run("batch", "submit", str(manifest), "--dry-run", "--json")
    assert streamed.returncode == 0, streamed.stderr
    plan = json.loads(streamed.stdout.splitlines()[-1])["plan"]
    assert plan["upload"]["items"] == 20
    assert plan["refused"]["items"] == 2
    assert run("batch", "pause", "no-such-batch").returncode == 2


@pytest.mark.parametrize("place", ["data", "b2"])
def test_a_ledger_is_kept_outside_redis_and_read_back(
    stack: Installation, bucket: str, folder: Path, place: str
) -> None:
    fill(folder, 3000, size=1)
    (folder / "d1/f00001.bin").unlink()
    source = f"data://.my/{folder.name}"
    rows = [
        {"source": f"{source}/d{at % 7}/f{at:05}.bin", "destination": f"b2://{bucket}/l/{at}"}
        for at in range(3000)
    ]
    ledger = f"{source}-ledger/" if place == "data" else f"b2://{bucket}/ledger/"
    batch = stack.client.batch_items(rows, ledger=ledger)
    with pytest.raises(JobFailed):
        batch.wait(timeout=100)
    assert stack.redis.hlen(f"{stack.key_prefix}b2jobs:batch:{batch.id}:ledger") == 0
    lines = list(batch.lines())
    assert sorted(line["item"] for line in lines) == list(range(3000))
    (folder / "d1/f00001.bin").write_bytes(b"!")
    batch.retry()
    assert batch.wait(timeout=60).outcomes == {"transferred": 3000}
    assert sorted(line["item"] for line in batch.lines()) == list(range(3000))
