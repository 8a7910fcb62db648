"""`ls` and `du`, by real workers on the local B2, from Python and from the command line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys

import pytest

import b2jobs
from b2jobs.errors import JobFailed
from support.emulator import LocalB2
from support.filled import fill
from support.installation import Installation
from support.synced import LONG_AGO, Pair
from support.waiting import eventually


@pytest.fixture
def pair(stack: Installation, local_b2: LocalB2) -> Pair:
    return Pair(stack, local_b2)


def names(listing: b2jobs.Listing) -> list[str]:
    return [line["name"] for line in listing.lines(40)]


def test_a_level_or_all_with_sizes_times_and_digests(pair: Pair) -> None:
    for name in ("a.txt", "photos/1.jpg", "photos/deep/2.jpg", "photos.txt"):
        pair.put(name, name.encode())
    pair.put("photos/1.jpg", b"replaced", LONG_AGO + 1)
    ls = pair.installation.client.ls
    level = list(ls(pair.remote).lines(40))
    assert [(line["name"], line["type"]) for line in level] == [
        ("a.txt", "file"),
        ("photos.txt", "file"),
        ("photos/", "folder"),
    ]
    assert names(ls(f"{pair.remote}photos/")) == ["photos/1.jpg", "photos/deep/"]
    assert names(ls(pair.remote, recursive=True)) == [
        *("a.txt", "photos.txt", "photos/1.jpg", "photos/deep/2.jpg")
    ]
    [one] = ls(f"{pair.remote}photos/1.jpg").lines(40)
    assert (one["size"], one["modified"]) == (8, "2023-11-14T22:13:20.001Z")
    assert one["sha1"] == hashlib.sha1(b"replaced").hexdigest()
    with pytest.raises(JobFailed) as missing:
        names(ls(f"{pair.remote}photos"))
    assert missing.value.code == "file_not_found"
    chosen = ls(pair.remote, recursive=True, include=["*.jpg"], max_size=8)
    assert names(chosen) == ["photos/1.jpg"]


def test_versions_hidden_and_unfinished_ones(pair: Pair) -> None:
    old = pair.put("x", b"old")
    new = pair.put("x", b"newer", LONG_AGO + 1)
    pair.put("y", b"1")
    pair.bucket.hide_file("y")
    begun = pair.api.session.start_large_file(pair.bucket.id_, "z", "text/plain", {})
    ls, du = pair.installation.client.ls, pair.installation.client.du
    assert names(ls(pair.remote)) == ["x"]
    lines = list(ls(pair.remote, versions=True).lines(40))
    assert [(each["name"], each["type"], each["latest"]) for each in lines] == [
        ("x", "file", True),
        ("x", "file", False),
        ("y", "hide_marker", True),
        ("y", "file", False),
        ("z", "unfinished", False),
    ]
    assert [each["file_id"] for each in lines[:2]] == [new, old]
    assert lines[-1]["file_id"] == begun["fileId"]
    found = du(pair.remote).wait(40)
    assert (found.files, found.size_bytes) == (1, 5)
    assert (found.versions, found.version_bytes) == (3, 9)
    assert (found.old_versions, found.old_bytes) == (2, 4)
    assert (found.hidden, found.hide_markers, found.unfinished) == (1, 1, 1)
    assert found.old_month_dollars == pytest.approx(4 * 0.006 / 1e9, abs=1e-9)
    assert du(pair.remote, min_size=4).wait(40).versions == 1


def test_many_pages_wait_for_a_reader_and_are_read_once(pair: Pair) -> None:
    wanted = sorted(f"d{n % 3}/{n:05}" for n in range(2300))
    fill(pair.bucket, wanted)
    client = pair.installation.client
    listing = client.ls(pair.remote, recursive=True)
    eventually(lambda: listing.record().has_ended, timeout=40)
    assert names(listing) == wanted
    result = listing.wait(10)
    assert (result.count, result.pages, result.calls["c"] >= 3) == (2300, 3, True)
    with pytest.raises(JobFailed) as again:
        names(listing)
    assert again.value.code == "listing_incomplete"

    async def awaited() -> list[str]:
        twin = await b2jobs.AsyncClient(client=client).ls(pair.remote, recursive=True)
        return [line["name"] async for line in twin.lines(40)]

    assert asyncio.run(awaited()) == wanted
    limited = client.ls(pair.remote, recursive=True, limit=5).wait(40)
    assert [line["name"] for line in limited.lines] == wanted[:5]
    assert (limited.more, limited.count) == (True, 5)


def test_leaving_off_early_ends_the_job_and_leaves_nothing(pair: Pair) -> None:
    fill(pair.bucket, [f"{n:05}" for n in range(1200)])
    client = pair.installation.client
    listing = client.ls(pair.remote)
    lines = listing.lines(40)
    assert next(lines)["name"] == "00000"
    lines.close()  # type: ignore[attr-defined]  # a generator
    eventually(lambda: listing.record().has_ended, timeout=20)
    feed = f"b2jobs:batch:{listing.id}:feed"
    eventually(lambda: feed not in pair.installation.keys())  # noqa: SIM118


def command(pair: Pair, *words: str) -> list[str]:
    return [sys.executable, "-m", "b2jobs", *words]


def test_the_command_line_prints_lines_as_they_come_and_head_ends_it(pair: Pair) -> None:
    fill(pair.bucket, [f"d/{n:05}" for n in range(2100)])
    pair.put("with\N{SNOWMAN}", b"12345")
    level = pair.installation.run("ls", pair.remote)
    assert [line.split() for line in level.stdout.splitlines()] == [
        ["DIR", "d/"],
        ["5", "2023-11-14", "22:13:20", "with\N{SNOWMAN}"],
    ]
    head = subprocess.run(
        f"{' '.join(command(pair, 'ls', pair.remote, '-r', '--json'))} | head -n 2",
        shell=True,
        check=True,
        env=pair.installation.env(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert [json.loads(line)["name"] for line in head.stdout.splitlines()] == ["d/00000", "d/00001"]
    assert head.stderr == ""
    added = pair.installation.run("du", pair.remote, "--json")
    assert json.loads(added.stdout)["files"] == 2101
    lately = pair.installation.client.jobs(kind="list", limit=3)
    eventually(
        lambda: all(pair.installation.client.job(each.id).record().has_ended for each in lately)
    )
