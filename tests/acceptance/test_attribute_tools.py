"""What files carry, with the released `b2` and rclone: written there and read here, and back."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from support.emulator import LocalB2
from support.installation import Installation
from support.released import Released, needs_tools
from support.synced import Pair

pytestmark = needs_tools

KEY = base64.b64encode(b"0123456789abcdef" * 2).decode()
LARGE = bytes(range(256)) * 44_000
HEADERS = {
    "cache_control": "public, max-age=60",
    "content_disposition": 'attachment; filename="x.bin"',
    "content_encoding": "br",  # rclone would unpack gzip
    "content_language": "de",
}
IN_INFO = {f"b2-{name.replace('_', '-')}": text for name, text in HEADERS.items()}
EXPIRES = "Thu, 01 Dec 2044 16:00:00 GMT"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Any:
    """A B2 with parts of 5 MB, so that a large file is one in a test, and a worker with a key."""
    folder = tmp_path_factory.mktemp("tools")
    b2 = LocalB2(folder / "b2", "--data", str(folder / "data"),
                 "--recommended-part-size", "5000000")  # fmt: skip
    account = {**b2.account, "customer_keys": {"k": KEY}}
    installation = Installation(folder / "moving", redis_url, account=account)
    installation.start_worker(
        B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0", B2JOBS_PART_SIZE_BYTES="5000000"
    )
    pair = Pair(installation, b2)
    pair.bucket = pair.api.create_bucket(f"{pair.name}-l", "allPrivate", is_file_lock_enabled=True)
    pair.remote = f"b2://{pair.bucket.name}/"
    yield pair
    installation.close()
    b2.close()


@pytest.fixture
def tools(tmp_path: Path, pair: Pair) -> Released:
    env = {
        "B2_SOURCE_SSE_C_KEY_B64": KEY,
        "B2_DESTINATION_SSE_C_KEY_B64": KEY,
        "B2_DESTINATION_SSE_C_KEY_ID": "k",
    }
    return Released(tmp_path, pair.local_b2, env=env)


@pytest.fixture
def rclone_key() -> tuple[str, ...]:
    return (
        *("--b2-sse-customer-algorithm", "AES256", "--b2-sse-customer-key-base64", KEY),
        *("--b2-upload-cutoff", "5M", "--b2-chunk-size", "5M"),
    )


def told(pair: Pair, name: str) -> dict[str, Any]:
    """What the SDK below `b2` says of a file."""
    [found] = [version for version, _ in pair.bucket.ls(name) if version.file_name == name]
    return dict(found.as_dict())


def test_what_we_write_they_read_with_all_it_carries(
    pair: Pair, tools: Released, tmp_path: Path, rclone_key: tuple[str, ...]
) -> None:
    name, content = "ours", LARGE
    pair.write(name, content)
    client = pair.installation.client
    client.upload(f"{pair.local}{name}", f"{pair.remote}{name}", **HEADERS, content_expires=EXPIRES,
                  encryption="SSE-C:k", retention="governance", retain_until="2044-12-01",
                  legal_hold=True, hash_first=True).wait(60)  # fmt: skip
    found = told(pair, name)
    assert (
        found["fileInfo"].items() >= {**IN_INFO, "b2-expires": EXPIRES, "sse_c_key_id": "k"}.items()
    )
    assert found["serverSideEncryption"]["mode"] == "SSE-C"
    assert found["legalHold"] == "on"
    assert found["fileRetention"] == {
        "mode": "governance",
        "retainUntilTimestamp": 2_364_163_200_000,
    }

    by_b2, by_rclone = tmp_path / "b2", tmp_path / "rclone"
    tools.b2("file", "download", "--no-progress", "--source-server-side-encryption", "SSE-C",
             f"{pair.remote}{name}", str(by_b2))  # fmt: skip
    tools.rclone("copyto", *rclone_key, f"b2:{pair.bucket.name}/{name}", str(by_rclone))
    assert by_b2.read_bytes() == by_rclone.read_bytes() == content


@pytest.mark.parametrize(("tool", "content"), [("b2", b"small"), ("rclone", LARGE)])
def test_what_they_write_we_read_and_copy_with_all_it_carries(
    pair: Pair,
    tools: Released,
    rclone_key: tuple[str, ...],
    tool: str,
    content: bytes,
) -> None:
    name = f"{tool}-{len(content)}"
    path = pair.write(name, content)
    if tool == "b2":
        tools.b2(
            *("file", "upload", "--no-progress", "--info", "color=red", "--expires", EXPIRES),
            *("--destination-server-side-encryption", "SSE-C", "--legal-hold", "on"),
            *("--file-retention-mode", "governance", "--retain-until", "2364163200000"),
            *(
                word
                for key, text in HEADERS.items()
                for word in (f"--{key.replace('_', '-')}", text)
            ),
            *(pair.bucket.name, str(path), name),
        )
    else:
        tools.rclone("copyto", *rclone_key, str(path), f"b2:{pair.bucket.name}/{name}")
    before = told(pair, name)
    assert before["serverSideEncryption"]["mode"] == "SSE-C"

    client = pair.installation.client
    down = client.download(f"{pair.remote}{name}", f"{pair.local}down-{name}", customer_key="k")
    assert down.wait(60).verified
    assert (pair.folder / f"down-{name}").read_bytes() == content
    copied = client.copy(f"{pair.remote}{name}", f"{pair.remote}copy-{name}", customer_key="k")
    copied.wait(60)
    after = told(pair, f"copy-{name}")
    info = {key: text for key, text in after["fileInfo"].items() if key != "b2jobs_job"}
    same = ("serverSideEncryption", "legalHold", "fileRetention", "contentType", "size")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    named = {} if tool == "b2" else {"sse_c_key_id": "k"}  # rclone does not name its keys
    assert info == {**before["fileInfo"], **named}
    if tool == "b2":
        assert info.items() >= {**IN_INFO, "color": "red", "b2-expires": EXPIRES}.items()
        assert after["legalHold"] == "on"


def test_what_each_changes_the_other_takes_back(pair: Pair, tools: Released) -> None:
    client = pair.installation.client
    for name in ("a", "b"):
        pair.bucket.upload_bytes(os.urandom(3), name)
    client.retention(f"{pair.remote}a", "governance", retain_for="30d").wait(60)
    tools.b2("file", "update", "--legal-hold", "on", "--file-retention-mode", "none",
             "--bypass-governance", f"{pair.remote}a")  # fmt: skip
    client.hold(f"{pair.remote}a", False).wait(60)
    found = told(pair, "a")
    assert (found["legalHold"], found["fileRetention"]["mode"]) == ("off", None)

    client.hide(f"{pair.remote}a").wait(60)
    tools.b2("file", "hide", f"{pair.remote}b")
    tools.b2("file", "unhide", f"{pair.remote}a")
    client.unhide(f"{pair.remote}b").wait(60)
    shown = [version.file_name for version, _ in pair.bucket.ls(recursive=True)]
    assert {"a", "b"} <= set(shown)
