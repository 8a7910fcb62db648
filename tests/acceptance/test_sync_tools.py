"""The released `b2` and rclone see our files as unchanged, and we see theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.emulator import LocalB2
from support.installation import Installation
from support.released import Released, needs_tools
from support.synced import LONG_AGO, Pair

pytestmark = needs_tools

TRANSFERS = (
    "upload_file",
    "upload_part",
    "start_large_file",
    "copy_file",
    "download_file_by_name",
    "download_file_by_id",
)


@pytest.fixture(scope="module")
def b2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalB2]:
    """A B2 that recommends parts of 5 MB, so that a large file is one in a test."""
    folder = tmp_path_factory.mktemp("b2")
    emulator = LocalB2(folder, "--data", str(folder / "data"), "--recommended-part-size", "5000000")
    yield emulator
    emulator.close()


@pytest.fixture(scope="module")
def moving(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, b2: LocalB2
) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("moving"), redis_url, account=b2.account)
    installation.start_worker(
        B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0", B2JOBS_PART_SIZE_BYTES="5000000"
    )
    yield installation
    installation.close()


@pytest.fixture
def pair(moving: Installation, b2: LocalB2) -> Pair:
    return Pair(moving, b2)


@pytest.fixture
def tools(tmp_path: Path, b2: LocalB2) -> Released:
    return Released(tmp_path, b2)


def fill(pair: Pair) -> None:
    pair.write("a.txt", "small", LONG_AGO + 1)
    pair.write("ä/b c.jpg", "x" * 1000, LONG_AGO + 999)
    pair.write("deep/er/still", "", LONG_AGO + 123_456)
    pair.write("large", bytes(range(256)) * 44_000, LONG_AGO + 7)


def moved(pair: Pair) -> dict[str, int]:
    calls = pair.calls()
    return {name: calls[name] for name in TRANSFERS if calls[name]}


def test_what_we_put_there_the_others_leave_alone(pair: Pair, tools: Released) -> None:
    fill(pair)
    assert pair.up().outcomes == {"transferred": 4}
    large = next(v for v, _ in pair.bucket.ls(recursive=True) if v.file_name == "large")
    assert large.file_info["large_file_sha1"] == pair.sha1("large")
    assert large.file_info["src_last_modified_millis"] == str(LONG_AGO + 7)
    assert large.content_sha1 in (None, "none")
    pair.forget_calls()

    tools.b2("sync", "--no-progress", str(pair.folder), f"b2://{pair.name}")
    tools.b2("sync", "--no-progress", f"b2://{pair.name}", str(pair.folder))
    tools.rclone("sync", str(pair.folder), f"b2:{pair.name}")
    tools.rclone("sync", "--checksum", str(pair.folder), f"b2:{pair.name}")
    tools.rclone("sync", f"b2:{pair.name}", str(pair.folder))

    assert moved(pair) == {}
    assert "0 differences found" in tools.rclone("check", str(pair.folder), f"b2:{pair.name}")


@pytest.mark.parametrize("tool", ["b2", "rclone"])
def test_what_the_others_put_there_we_leave_alone(pair: Pair, tools: Released, tool: str) -> None:
    fill(pair)
    if tool == "b2":
        tools.b2("sync", "--no-progress", str(pair.folder), f"b2://{pair.name}")
    else:
        chunk = ("--b2-upload-cutoff", "5Mi", "--b2-chunk-size", "5Mi")
        tools.rclone("sync", *chunk, str(pair.folder), f"b2:{pair.name}")
    pair.forget_calls()

    for result in (pair.up(), pair.up(compare="sha1"), pair.down(), pair.down(compare="sha1")):
        assert result.items == 0
        assert result.compared["unchanged"] == 4

    assert moved(pair) == {}


@pytest.mark.parametrize("tool", ["b2", "rclone"])
def test_there_and_back_again(pair: Pair, tools: Released, tool: str, tmp_path: Path) -> None:
    """Up with ours, down with theirs, up again with ours: bytes and times are the same."""
    fill(pair)
    pair.up()
    target = pair.folder.parent / f"restored-{tool}"
    target.mkdir()
    if tool == "b2":
        tools.b2("sync", "--no-progress", f"b2://{pair.name}", str(target))
    else:
        tools.rclone("sync", f"b2:{pair.name}", str(target))
    pair.forget_calls()

    assert pair.run(f"data://.my/restored-{tool}", pair.remote).items == 0

    assert moved(pair) == {}
    for name in pair.here():
        # `b2` sets a time through a float, some of its digits are lost.
        there = (target / name).stat().st_mtime_ns
        assert abs(there - (pair.folder / name).stat().st_mtime_ns) < 1_000_000


def test_types_and_info_survive_ours_down_and_up(pair: Pair) -> None:
    pair.bucket.upload_bytes(
        b"<p>", "page", content_type="text/html", file_info={"author": "somebody"}
    )
    pair.down()
    assert pair.up().items == 0
    version = next(v for v, _ in pair.bucket.ls(recursive=True))
    assert (version.content_type, version.file_info["author"]) == ("text/html", "somebody")


def test_a_copy_keeps_type_and_info(pair: Pair) -> None:
    for name, info in (("timed", {"src_last_modified_millis": str(LONG_AGO)}), ("untimed", {})):
        pair.bucket.upload_bytes(
            name.encode(), f"from/{name}", content_type="text/html", file_info={**info, "k": "v"}
        )
    assert pair.run(f"{pair.remote}from/", f"{pair.remote}to/").outcomes == {"transferred": 2}
    for version, _ in pair.bucket.ls("to", recursive=True):
        assert version.content_type == "text/html"
        assert version.file_info["k"] == "v"
        assert "src_last_modified_millis" in version.file_info
    assert pair.run(f"{pair.remote}from/", f"{pair.remote}to/").items == 0
