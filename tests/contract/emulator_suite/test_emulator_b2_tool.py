"""The released `b2` command line tool, as a program, against the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from b2sdk import v3 as b2sdk

from support.emulator_process import PART_BYTES, Running

B2 = Callable[..., str]
PROGRAM = Path(sys.executable).with_name("b2")

# Each command starts a Python with all of b2sdk: seconds, on a busy machine.
pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason="the b2 tool is not installed"),
    pytest.mark.timeout(400),
]


def tool(home: Path, running: Running, key_id: str, secret: str) -> B2:
    """An authorised `b2` with an account file of its own; returns what it printed."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("B2_")},
        "HOME": str(home),
        "B2_ACCOUNT_INFO": str(home / f"account-{key_id}"),
        "B2_ENVIRONMENT": running.realm,
    }

    def run(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == fails, (arguments, done.stdout, done.stderr)
        return done.stdout + (done.stderr if fails else "")

    run("account", "authorize", key_id, secret)
    return run


@pytest.fixture(scope="module")
def b2_tool(shared_emulator: Running, tmp_path_factory: pytest.TempPathFactory) -> B2:
    ready = shared_emulator.ready
    home = tmp_path_factory.mktemp("b2-tool")
    return tool(home, shared_emulator, ready["key_id"], ready["application_key"])


def test_buckets_and_files(b2: Running, b2_tool: B2, tmp_path: Path) -> None:
    """Create, upload, list, info, download, hide, share, remove."""
    name = "tool-bucket"
    b2_tool("bucket", "create", name, "allPrivate", "--bucket-info", '{"a": "b"}')
    assert name in b2_tool("bucket", "list")
    assert json.loads(b2_tool("bucket", "get", name))["bucketInfo"] == {"a": "b"}

    body = os.urandom(PART_BYTES * 4 + 5)
    (tmp_path / "file.bin").write_bytes(body)
    b2_tool(
        "file", "upload", "--info", "color=blue", name, str(tmp_path / "file.bin"), "dir/file.bin"
    )
    info = json.loads(b2_tool("file", "info", f"b2://{name}/dir/file.bin"))
    assert info["fileInfo"]["color"] == "blue"
    assert info["size"] == len(body)
    b2_tool("file", "download", f"b2://{name}/dir/file.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == body
    assert b2_tool("ls", "-r", f"b2://{name}") == "dir/file.bin\n"
    assert "dir/" in b2_tool("ls", f"b2://{name}")

    b2_tool("file", "server-side-copy", f"b2://{name}/dir/file.bin", f"b2://{name}/dir/copy.bin")
    b2_tool("file", "hide", f"b2://{name}/dir/copy.bin")
    versions = b2_tool("ls", "--long", "--versions", "-r", f"b2://{name}")
    assert " hide " in versions
    b2_tool("file", "unhide", f"b2://{name}/dir/copy.bin")

    shared = b2_tool("file", "url", "--with-auth", f"b2://{name}/dir/file.bin").strip()
    with urlopen(shared) as response:
        assert response.read() == body

    b2_tool("rm", "-r", "--versions", "--no-progress", f"b2://{name}")
    b2_tool("bucket", "delete", name)
    assert name not in b2_tool("bucket", "list")


def test_sync_both_ways(b2: Running, b2_tool: B2, bucket: b2sdk.Bucket, tmp_path: Path) -> None:
    name = bucket.name
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    target.mkdir()
    (source / "one").write_text("1")
    (source / "sub" / "two").write_text("2")
    b2_tool("sync", "--no-progress", str(source), f"b2://{name}/s")
    (source / "one").unlink()
    b2_tool("sync", "--no-progress", "--delete", str(source), f"b2://{name}/s")
    b2_tool("sync", "--no-progress", f"b2://{name}/s", str(target))
    found = {str(p.relative_to(target)): p.read_text() for p in target.rglob("*") if p.is_file()}
    assert found == {"sub/two": "2"}
    # Nothing to do: no bytes move.
    b2.admin.clear_journal()
    b2_tool("sync", "--no-progress", str(source), f"b2://{name}/s")
    assert "b2_upload_file" not in b2.admin.counters().calls


def test_keys_and_their_limits(
    b2: Running, b2_tool: B2, bucket: b2sdk.Bucket, tmp_path: Path
) -> None:
    name = bucket.name
    bucket.upload_bytes(b"x", "f")
    (tmp_path / "f").write_text("x")
    capabilities = "listBuckets,listFiles,readFiles"
    key_id, secret = b2_tool("key", "create", "--bucket", name, "reader", capabilities).split()
    assert key_id in b2_tool("key", "list")
    reader = tool(tmp_path, b2, key_id, secret)
    assert reader("ls", f"b2://{name}") == "f\n"
    assert "nauthorized" in reader("file", "upload", "--no-progress", name, "f", "g", fails=True)
    b2_tool("key", "delete", key_id)
    assert key_id not in b2_tool("key", "list")


def test_large_files_left_open(b2: Running, b2_tool: B2, bucket: b2sdk.Bucket) -> None:
    name, session = bucket.name, bucket.api.session
    started = session.start_large_file(bucket.id_, "open", "text/plain", {})["fileId"]
    assert started in b2_tool("file", "large", "unfinished", "list", f"b2://{name}")
    b2_tool("file", "large", "unfinished", "cancel", f"b2://{name}")
    assert b2_tool("file", "large", "unfinished", "list", f"b2://{name}").strip() == ""
