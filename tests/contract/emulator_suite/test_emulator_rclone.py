"""rclone, from its wheel, as a program, against the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from b2sdk import v3 as b2sdk

from support.emulator_process import Running

Rclone = Callable[..., str]
PROGRAM = Path(sys.executable).with_name("rclone")
CHUNK = ("--b2-chunk-size", "5Mi", "--b2-upload-cutoff", "5Mi")

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="rclone is not installed")


def rclone_for(home: Path, running: Running, key_id: str, secret: str) -> Rclone:
    """rclone with a remote named `b2:` and a config file of its own."""
    config = home / f"rclone-{key_id}.conf"
    config.write_text(
        f"[b2]\ntype = b2\naccount = {key_id}\nkey = {secret}\nendpoint = {running.realm}\n"
    )

    def run(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [str(PROGRAM), "--config", str(config), "--retries", "1", *arguments],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == fails, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    return run


@pytest.fixture
def rclone(tmp_path: Path, b2: Running) -> Rclone:
    return rclone_for(tmp_path, b2, b2.ready["key_id"], b2.ready["application_key"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A few small files with difficult names and one of three chunks."""
    source = tmp_path / "source"
    for name in ("a", "d/ü + % #.txt", "d/e/empty"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode() if name != "d/e/empty" else b"")
    (source / "large").write_bytes(os.urandom(12_000_000))
    return source


def test_copy_check_and_sync(
    b2: Running, rclone: Rclone, bucket: b2sdk.Bucket, source: Path, tmp_path: Path
) -> None:
    remote = f"b2:{bucket.name}/backup"
    rclone("copy", *CHUNK, str(source), remote)
    large = bucket.get_file_info_by_name("backup/large")
    assert large.content_sha1 == "none"
    assert large.file_info["large_file_sha1"]
    assert "src_last_modified_millis" in large.file_info
    assert "0 differences" in rclone("check", str(source), remote)
    assert "0 differences" in rclone("check", "--download", str(source), remote)

    (source / "a").write_text("changed")
    (source / "large").unlink()
    b2.admin.clear_journal()
    rclone("sync", *CHUNK, str(source), remote)
    assert b2.admin.counters().calls["b2_upload_file"] == 1  # only what had changed
    assert "0 differences" in rclone("check", str(source), remote)

    target = tmp_path / "target"
    rclone("sync", remote, str(target))
    found = {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    wanted = {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file()}
    assert found == wanted


def test_server_side_copy(rclone: Rclone, bucket: b2sdk.Bucket, source: Path) -> None:
    rclone("copy", *CHUNK, str(source), f"b2:{bucket.name}/one")
    rclone("copy", "--b2-copy-cutoff", "5Mi", f"b2:{bucket.name}/one", f"b2:{bucket.name}/two")
    rclone("check", "--download", f"b2:{bucket.name}/one", f"b2:{bucket.name}/two")


def test_versions_and_cleanup(
    b2: Running, rclone: Rclone, bucket: b2sdk.Bucket, source: Path
) -> None:
    remote = f"b2:{bucket.name}"
    rclone("copyto", str(source / "a"), f"{remote}/a")
    (source / "a").write_text("second")
    rclone("copyto", str(source / "a"), f"{remote}/a")
    rclone("deletefile", f"{remote}/a")
    started = bucket.api.session.start_large_file(bucket.id_, "open", "text/plain", {})
    # The two versions; B2 lists the file left open among them, and rclone shows it.
    assert len(rclone("lsf", "--b2-versions", remote).splitlines()) == 3
    rclone("cleanup", remote)
    assert next(iter(bucket.ls(latest_only=False)))[0].id_ == started["fileId"]
    # rclone leaves uploads alone that are younger than a day, unless told.
    rclone("backend", "cleanup", remote, "-o", "max-age=0s")
    assert list(bucket.ls(latest_only=False)) == []
    rclone("purge", remote)
    assert bucket.name not in rclone("lsf", "b2:")


def test_share_and_lifecycle(rclone: Rclone, bucket: b2sdk.Bucket, source: Path) -> None:
    from urllib.request import urlopen

    rclone("copyto", str(source / "a"), f"b2:{bucket.name}/a")
    with urlopen(rclone("link", f"b2:{bucket.name}/a").strip()) as response:
        assert response.read() == b"a"
    rclone("backend", "lifecycle", f"b2:{bucket.name}", "-o", "daysFromHidingToDeleting=3")
    (rule,) = bucket.get_fresh_state().lifecycle_rules
    assert rule["daysFromHidingToDeleting"] == 3


def test_a_restricted_key(
    b2: Running, rclone: Rclone, bucket: b2sdk.Bucket, source: Path, tmp_path: Path
) -> None:
    rclone("copyto", str(source / "a"), f"b2:{bucket.name}/in/a")
    key = bucket.api.create_key(
        ["listBuckets", "listFiles", "readFiles"], "reader", bucket_ids=[bucket.id_]
    )
    reader = rclone_for(tmp_path, b2, key.id_, key.application_key)
    assert reader("cat", f"b2:{bucket.name}/in/a") == "a"
    assert "401" in reader("copyto", str(source / "a"), f"b2:{bucket.name}/in/b", fails=True)
    assert [v.file_name for v, _ in bucket.ls(recursive=True)] == ["in/a"]


def test_it_gets_over_errors(
    b2: Running, rclone: Rclone, bucket: b2sdk.Bucket, source: Path
) -> None:
    b2.admin.fault("service_unavailable", calls="b2_upload_*", every=3)
    b2.admin.fault("too_many_requests", calls="b2_list*", next=1, retry_after=1)
    rclone("copy", *CHUNK, str(source), f"b2:{bucket.name}")
    b2.admin.clear_faults()
    assert "0 differences" in rclone("check", "--download", str(source), f"b2:{bucket.name}")
    assert list(bucket.list_unfinished_large_files()) == []


def test_encryption_with_a_key_of_ones_own(
    rclone: Rclone, bucket: b2sdk.Bucket, source: Path
) -> None:
    key = ("--b2-sse-customer-algorithm", "AES256", "--b2-sse-customer-key", "k" * 32)
    done = subprocess.run(
        [str(PROGRAM), "help", "backend", "b2"], capture_output=True, text=True, check=False
    )
    if "sse-customer-key" not in done.stdout:
        pytest.skip("this rclone has no SSE-C for B2")
    rclone("copy", *key, *CHUNK, str(source), f"b2:{bucket.name}")
    rclone("check", "--download", *key, str(source), f"b2:{bucket.name}")
