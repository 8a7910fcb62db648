"""Each kind of job once, on the way where nothing goes wrong."""

from __future__ import annotations

import hashlib
import os
import urllib.request

import pytest

from b2jobs.errors import CallerError
from contract.engine.corner import BUCKET, Bench

SIZES = [0, 1, 16_384, 199_999, 200_000, 200_001, 1_234_567]


def sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_goes_up_and_comes_down_the_same(bench: Bench, size: int) -> None:
    content = os.urandom(size)
    source = bench.put("file.bin", content)
    os.utime(bench.folder / "in" / "file.bin", (1_700_000_000, 1_700_000_000.25))
    up = bench.run("upload", source=source, destination=bench.b2("file.bin"))
    assert up.size == size
    assert up.sha1 == sha1(content)
    assert up.verified
    assert up.status == "transferred"
    [version] = bench.versions("file.bin")
    assert version.info["src_last_modified_millis"] == "1700000000250"
    down = bench.run("download", source=bench.b2("file.bin"), destination="data://out/copy.bin")
    assert bench.out("copy.bin").read_bytes() == content
    assert bench.out("copy.bin").stat().st_mtime == 1_700_000_000.25
    assert (down.size, down.sha1, down.file_id) == (size, up.sha1, up.file_id)
    assert [path.name for path in bench.folder.joinpath("out").iterdir()] == ["copy.bin"]


def test_a_shared_url_opens(bench: Bench) -> None:
    source = bench.put("a.txt", b"shared")
    bench.run("upload", source=source, destination=bench.b2("a b.txt"))
    shared = bench.run("share", source=bench.b2("a b.txt"), seconds=60)
    with urllib.request.urlopen(shared.url) as response:
        assert response.read() == b"shared"


def test_inline_download_gives_text_or_base64(bench: Bench) -> None:
    bench.run("upload", source="data:text/plain,hello", destination=bench.b2("a.txt"))
    result = bench.run("download", source=bench.b2("a.txt"))
    assert (result.content, result.encoding) == ("hello", "utf-8")
    assert (result.verified, result.content_type) == (True, "text/plain")
    part = bench.run("download", source=bench.b2("a.txt"), range="1-2")
    assert (part.content, part.verified, part.size) == ("el", False, 2)
    bench.run("upload", source="data:;base64,/w==", destination=bench.b2("b.bin"))
    binary = bench.run("download", source=bench.b2("b.bin"))
    assert (binary.content, binary.encoding) == ("/w==", "base64")


def test_a_large_file_is_not_returned_inline(bench: Bench) -> None:
    source = bench.put("big", os.urandom(300_000))
    bench.run("upload", source=source, destination=bench.b2("big"))
    with pytest.raises(CallerError) as caught:
        bench.run("download", source=bench.b2("big"))
    assert caught.value.code == "too_large_inline"


def test_a_range_of_a_large_file_arrives(bench: Bench) -> None:
    content = os.urandom(900_000)
    bench.run("upload", source=bench.put("big", content), destination=bench.b2("big"))
    result = bench.run(
        "download", source=bench.b2("big"), destination="data://out/part", range="100000-799999"
    )
    assert bench.out("part").read_bytes() == content[100_000:800_000]
    assert (result.size, result.verified) == (700_000, False)


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_copy_carries_content_and_info(bench: Bench, size: int) -> None:
    content = os.urandom(size)
    source = bench.put("a", content)
    bench.run("upload", source=source, destination=bench.b2("a"), info={"color": "red"})
    copied = bench.run(
        "copy", bench.attempt("copy"), source=bench.b2("a"), destination=bench.b2("b")
    )
    assert (copied.size, copied.name) == (size, f"{bench.prefix}b")
    [version] = bench.versions("b")
    assert version.info["color"] == "red"
    assert version.info["b2jobs_job"].startswith(f"{bench.prefix}copy.")
    bench.run("download", source=f"b2id://{copied.file_id}", destination="data://out/b")
    assert bench.out("b").read_bytes() == content


def test_delete_takes_the_newest_all_or_one(bench: Bench) -> None:
    ids = [
        bench.run(
            "upload", bench.attempt(f"up{i}"), source=f"data:,{i}", destination=bench.b2("a")
        ).file_id
        for i in range(4)
    ]
    assert bench.run("delete", target=bench.b2("a")).deleted == 1
    assert [v.file_id for v in bench.versions("a")] == ids[2::-1]
    assert bench.run("delete", target=bench.b2("a"), versions=ids[0]).deleted == 1
    assert [v.file_id for v in bench.versions("a")] == [ids[2], ids[1]]
    assert bench.run("delete", target=f"b2id://{ids[2]}").deleted == 1
    assert bench.run("delete", target=bench.b2("a"), versions="all").deleted == 1
    again = bench.run("delete", target=bench.b2("a"), versions="all")
    assert (again.deleted, again.status) == (0, "unchanged")


def test_delete_below_a_prefix(bench: Bench) -> None:
    for name in ("d/a", "d/a", "d/b", "e"):
        bench.run("upload", bench.attempt(f"{name}"), source="data:,x", destination=bench.b2(name))
    assert bench.run("delete", target=bench.b2("d/")).deleted == 2
    assert [len(bench.versions(name)) for name in ("d/a", "d/b", "e")] == [1, 0, 1]
    assert bench.run("delete", target=bench.b2("d/"), versions="all").deleted == 1
    assert len(bench.versions("e")) == 1


def test_buckets_are_made_changed_and_removed(bench: Bench) -> None:
    name = "made-by-a-test"
    made = bench.run("bucket", action="create", name=name)
    assert (made.status, made.buckets[0]["type"]) == ("created", "allPrivate")
    assert bench.run("bucket", action="create", name=name).status == "unchanged"
    assert bench.run("bucket", action="update", name=name, type="public").status == "updated"
    listed = bench.run("bucket", action="list")
    assert {each["name"]: each["type"] for each in listed.buckets}[name] == "allPublic"
    assert bench.run("bucket", action="delete", name=name).status == "deleted"
    assert bench.run("bucket", action="delete", name=name).status == "unchanged"


def test_check_says_what_the_key_may_do(bench: Bench) -> None:
    result = bench.run("check")
    assert "writeFiles" in result.capabilities
    assert (result.cannot, result.buckets, result.realm) == ({}, None, bench.realm)


def test_if_exists(bench: Bench) -> None:
    def up(content: str, if_exists: str, job: str):
        return bench.run(
            "upload",
            bench.attempt(job),
            source=f"data:,{content}",
            destination=bench.b2("a"),
            if_exists=if_exists,
        )

    assert up("one", "skip", "1").status == "transferred"
    assert up("one", "skip", "2").status == "unchanged"
    assert up("two", "skip", "3").status == "transferred"
    with pytest.raises(CallerError) as caught:
        up("three", "fail", "4")
    assert caught.value.code == "file_exists"
    assert len(bench.versions("a")) == 2
    assert up("four", "replace", "5").status == "transferred"
    assert [v.job for v in bench.versions("a")] == [f"{bench.prefix}5"]
    assert BUCKET in bench.b2("a")
