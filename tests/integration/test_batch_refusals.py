"""What a batch must not do: write elsewhere, take half for all, name what was excluded."""

from __future__ import annotations

import gzip
import json
import os
import threading
import uuid
from pathlib import Path

import pytest

from b2jobs.errors import InvalidJob, JobFailed
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


def put(stack: Installation, uri: str) -> None:
    stack.client.upload("data:,there", uri).wait(timeout=60)


def codes(stack: Installation, batch_id: str) -> dict[str, str]:
    """Code by the end of the source's name, of what was not done."""
    found = stack.client.batch_job(batch_id).lines()
    return {line["source"].rpartition("/")[2]: line["code"] for line in found if "code" in line}


def test_names_cannot_leave_the_destination_of_a_batch(
    stack: Installation, bucket: str, folder: Path
) -> None:
    # `in/../other/app.conf` went to `other/app.conf`, beside the destination.
    for name in ("in/../other/app.conf", "in/x/./y", "in/good", "in/good/below", "in/x/.."):
        put(stack, f"b2://{bucket}/{name}")
    batch = stack.client.batch(f"b2://{bucket}/in/", f"data://.my/{folder.name}/down/")
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    there = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert there == ["down/good"]
    assert batch.status().codes == {"name_unsafe": 3, "name_clash": 1}


def test_a_manifest_cannot_take_a_name_that_leaves_its_destination(
    stack: Installation, bucket: str, folder: Path
) -> None:
    put(stack, f"b2://{bucket}/x/..")
    row = {"source": f"b2://{bucket}/x/..", "destination": f"data://.my/{folder.name}/down/"}
    batch = stack.client.batch_items([row])
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    assert batch.status().codes == {"invalid_location": 1}
    assert list(folder.iterdir()) == []


def test_a_batch_does_not_copy_its_own_copies(stack: Installation, bucket: str) -> None:
    place = f"b2://{bucket}/a/"
    for source, destination in ((place, f"{place}b/"), (f"{place}b/", place), (place, place)):
        with pytest.raises(InvalidJob, match="lie in each other"):
            stack.client.batch(source, destination)
    with pytest.raises(InvalidJob, match="ledger must not lie in the source"):
        stack.client.batch("data://.my/x/", place, ledger="data://.my/x/ledger/")


def unreadable(folder: Path) -> None:
    """A broken link, a FIFO, a name that is not UTF-8, a link to itself, and a good file."""
    (folder / "good").write_bytes(b"1")
    (folder / "broken.lnk").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.fifo")
    (folder / "loop").symlink_to(".")
    descriptor = os.open(os.fsencode(folder) + b"/bad\xff.raw", os.O_CREAT | os.O_WRONLY)
    os.close(descriptor)


def test_what_is_excluded_is_not_reported_as_unreadable(
    stack: Installation, bucket: str, folder: Path
) -> None:
    unreadable(folder)
    source = f"data://.my/{folder.name}/"
    excluded = ["*.lnk", "*.fifo", "*.raw", "loop/"]
    batch = stack.client.batch(source, f"b2://{bucket}/a/")
    with pytest.raises(JobFailed):
        batch.wait(timeout=60)
    assert batch.status().outcomes == {"transferred": 1, "failed": 4}
    sync = stack.client.sync(source, f"b2://{bucket}/b/")
    with pytest.raises(JobFailed):
        sync.wait(timeout=60)
    for start, prefix in ((stack.client.batch, "c"), (stack.client.sync, "d")):
        job = start(source, f"b2://{bucket}/{prefix}/", exclude=excluded)
        assert job.wait(timeout=60).outcomes == {"transferred": 1}
    job = stack.client.batch(source, f"b2://{bucket}/e/", include=["go*"], exclude=["loop/"])
    assert job.wait(timeout=60).outcomes == {"transferred": 1}


@pytest.mark.parametrize("place", ["data", "b2"])
def test_a_compressed_manifest_that_is_cut_short_is_unreadable(
    stack: Installation, bucket: str, folder: Path, place: str
) -> None:
    (folder / "f").write_bytes(b"1")
    line = f"data://.my/{folder.name}/f,b2://{bucket}/f\n"
    (folder / "list.csv.GZ").write_bytes(gzip.compress(line.encode() * 9)[:-9])
    manifest = f"data://.my/{folder.name}/list.csv.GZ"
    if place == "b2":
        stack.client.upload(manifest, f"b2://{bucket}/list.csv.gz").wait(timeout=60)
        manifest = f"b2://{bucket}/list.csv.gz"
    batch = stack.client.batch(manifest)
    with pytest.raises(JobFailed) as failed:
        batch.wait(timeout=60)
    assert failed.value.code == "manifest_unreadable"
    assert batch.status().items == 0


def test_a_manifest_that_changes_under_a_batch_ends_it(
    stack: Installation, bucket: str, folder: Path
) -> None:
    (folder / "f").write_bytes(b"1")
    manifest = folder / "list.csv"
    line = f"data://.my/{folder.name}/f,b2://{bucket}/"
    manifest.write_text("".join(f"{line}{at}\n" for at in range(4000)))
    batch = stack.client.batch(f"data://.my/{folder.name}/list.csv")
    eventually(lambda: batch.status().items > 0, timeout=30)
    batch.cancel()
    eventually(lambda: batch.state() == "cancelled", timeout=30)
    assert batch.status().items < 4000
    manifest.write_text("".join(f"{line}other-{at}\n" for at in range(4000)))
    batch.retry()
    with pytest.raises(JobFailed) as failed:
        batch.wait(timeout=60)
    assert failed.value.code == "manifest_changed"


def test_a_manifest_from_a_pipe_is_read_whole(
    stack: Installation, bucket: str, folder: Path
) -> None:
    # The path was read twice: the second time the pipe was empty, exit 0, no items.
    (folder / "f").write_bytes(b"1")
    rows = [f"data://.my/{folder.name}/f,b2://{bucket}/{at}" for at in range(3)]
    text = "\n".join([*rows, rows[0]]).encode()
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(text,), daemon=True)
    writer.start()
    for name, stdin in (("-", text), ("/dev/stdin", text), (str(fifo), b"")):
        done = stack.run("batch", "submit", name, "--wait", "--json", stdin=stdin)
        assert done.returncode == 1, done.stderr
        last = json.loads(done.stdout.splitlines()[-1])
        assert last["outcomes"] == {"transferred": 3, "failed": 1}
        assert last["codes"] == {"duplicate_destination": 1}
        assert "line 4" in done.stderr


def test_a_local_manifest_that_cannot_be_read_says_so(stack: Installation, folder: Path) -> None:
    broken = folder / "list.csv.xz"
    broken.write_bytes(b"source,destination\n")
    for path in (broken, folder, folder / "gone.csv"):
        done = stack.run("batch", "submit", str(path))
        assert done.returncode == 2, done.stderr
        assert "manifest_unreadable" in done.stderr
    endless = folder / "report.jsonl"
    endless.write_bytes(b"x" * 2_000_000)
    done = stack.run("batch", "verify", str(endless))
    assert done.returncode == 2, done.stderr
    assert "report_invalid" in done.stderr


def test_retry_looks_again_at_what_was_refused_for_now(
    stack: Installation, bucket: str, folder: Path
) -> None:
    (folder / "late.lnk").symlink_to("nowhere")
    (folder / "good").write_bytes(b"1")
    later = f"later-{uuid.uuid4().hex[:12]}"
    (folder / "list.csv").write_text(
        f"data://.my/{folder.name}/good,b2://{later}/x,1,,text/x-odd\nnonsense\n"
    )
    prefix = stack.client.batch(f"data://.my/{folder.name}/", f"b2://{bucket}/", include=["*.lnk"])
    manifest = stack.client.batch(f"data://.my/{folder.name}/list.csv")
    for batch in (prefix, manifest):
        with pytest.raises(JobFailed) as failed:
            batch.wait(timeout=60)
        assert "another action there than `refused`" in failed.value.hint
    assert codes(stack, prefix.id) == {"late.lnk": "source_missing"}
    (folder / "nowhere").write_bytes(b"here")
    stack.client.bucket("create", later).wait(timeout=60)
    for batch in (prefix, manifest):
        batch.retry(only_failed=True)
    assert prefix.wait(timeout=60).outcomes == {"transferred": 1}
    with pytest.raises(JobFailed):
        manifest.wait(timeout=60)
    assert manifest.status().outcomes == {"transferred": 1, "failed": 1}
    assert [line["action"] for line in manifest.lines() if "code" in line] == ["refused"]
