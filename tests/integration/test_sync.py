"""Syncs by real workers between a folder and the local B2, in every direction and policy."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import b2jobs
from b2jobs.batches import lines
from support.emulator import LocalB2
from support.installation import Installation
from support.synced import HOUR_MILLIS, LONG_AGO, Pair
from support.waiting import eventually


@pytest.fixture
def pair(stack: Installation, local_b2: LocalB2) -> Pair:
    return Pair(stack, local_b2)


def test_up_then_nothing_then_what_changed(pair: Pair) -> None:
    for name in ("a.txt", "photos/1.jpg", "photos/2.jpg", "photos.txt", "ä/ö ü.txt"):
        pair.write(name, f"content of {name}")

    first = pair.up()
    assert first.status == "complete"
    assert first.outcomes == {"transferred": 5}
    assert pair.there() == pair.here()

    again = pair.up()
    assert again.items == 0
    assert again.compared["unchanged"] == 5
    assert again.calls["a"] == again.calls["b"] == 0

    pair.write("a.txt", "newer", LONG_AGO + HOUR_MILLIS)
    pair.write("new", "new")
    third = pair.up()
    assert third.outcomes == {"transferred": 2}
    assert pair.there() == pair.here()
    assert pair.versions()["a.txt"] == ["upload", "upload"]


def test_down_keeps_times_and_goes_up_again_unchanged(pair: Pair) -> None:
    pair.put("a", b"1", LONG_AGO + 123)
    pair.put("b/c", b"22")
    pair.put("untimed", b"333", None)

    assert pair.down().outcomes == {"transferred": 3}

    assert pair.here() == {"a": b"1", "b/c": b"22", "untimed": b"333"}
    assert pair.millis("a") == LONG_AGO + 123
    assert pair.down().items == 0
    assert pair.up().items == 0


def test_inside_b2(pair: Pair) -> None:
    pair.put("from/a", b"1")
    pair.put("from/b/c", b"22", None)
    source, destination = f"{pair.remote}from", f"{pair.remote}to/"

    assert pair.run(source, destination).outcomes == {"transferred": 2}
    assert pair.there() == {"from/a": b"1", "from/b/c": b"22", "to/a": b"1", "to/b/c": b"22"}
    assert pair.run(source, destination).items == 0


@pytest.mark.parametrize("delete", ["keep", "hide", "remove"])
def test_what_the_source_has_not(pair: Pair, delete: str) -> None:
    for number in range(4):
        pair.write(f"same{number}")
        pair.put(f"same{number}")
    pair.put("gone", b"old")
    pair.put("gone", b"new", LONG_AGO + 1)
    pair.put("same0", b"x")

    result = pair.up(delete=delete)

    versions = pair.versions()
    if delete == "keep":
        assert result.items == 0
        assert versions["gone"] == ["upload", "upload"]
    elif delete == "hide":
        assert result.outcomes == {"hidden": 1}
        assert versions["gone"] == ["hide", "upload", "upload"]
    else:
        assert result.outcomes == {"deleted": 3}
        assert "gone" not in versions
        assert set(map(len, versions.values())) == {1}
    assert pair.up(delete=delete).items == 0


def test_a_replaced_file_loses_its_old_versions_only_behind_the_new_one(pair: Pair) -> None:
    pair.write("a", "new", LONG_AGO + HOUR_MILLIS)
    pair.put("a", b"older", LONG_AGO - HOUR_MILLIS)
    pair.put("a", b"old")

    result = pair.up(delete="remove")

    assert result.outcomes == {"transferred": 1, "deleted": 2}
    assert pair.versions() == {"a": ["upload"]}
    assert pair.there() == {"a": b"new"}


def test_keep_days_hides_now(pair: Pair) -> None:
    pair.write("same")
    pair.put("same")
    pair.put("gone")
    assert pair.up(keep_days=10).outcomes == {"hidden": 1}
    assert pair.versions()["gone"] == ["hide", "upload"]


def test_local_files_are_removed_with_the_folders_they_leave_empty(pair: Pair) -> None:
    pair.put("keep/a")
    pair.write("keep/a")
    pair.write("gone/deep/b")
    pair.write("keep/c")
    elsewhere = pair.installation.data / "elsewhere"
    elsewhere.write_text("mine")
    (pair.folder / "keep" / "inside").symlink_to(elsewhere)
    outside = pair.installation.folder / "outside"
    outside.write_text("mine")
    (pair.folder / "keep" / "link").symlink_to(outside)

    with pytest.raises(b2jobs.JobFailed, match="items_failed"):
        pair.down(delete="remove", max_delete=1)

    assert set(pair.here()) == {"keep/a", "keep/link"}
    assert not (pair.folder / "gone").exists()
    assert outside.read_text() == elsewhere.read_text() == "mine", "links go, not their targets"
    assert pair.down(delete="remove", symlinks="skip", max_delete=1).items == 0


def test_an_empty_mount_does_not_erase_a_bucket(pair: Pair) -> None:
    for number in range(10):
        pair.put(str(number))
    with pytest.raises(b2jobs.JobFailed, match="source_empty"):
        pair.up(delete="remove")
    pair.write("0", "changed", LONG_AGO + HOUR_MILLIS)
    with pytest.raises(b2jobs.JobFailed, match="too_much_to_delete"):
        pair.up(delete="remove")
    assert len(pair.there()) == 10
    assert pair.there()["0"] == b"x", "nothing moves before all is known"
    assert pair.up(delete="remove", max_delete=0.9).outcomes == {"transferred": 1, "deleted": 10}


def test_a_dry_run_prints_the_plan_and_does_nothing(pair: Pair) -> None:
    pair.write("new", "12345")
    pair.write("same")
    pair.put("same")
    pair.put("gone")
    before = pair.versions()

    result = pair.up(delete="remove", dry_run=True)

    assert result.status == "dry_run"
    assert result.planned == ["remove gone (gone)", "transfer new (new, 5 bytes)"]
    assert result.plan["upload"] == {"items": 1, "size_bytes": 5}
    assert result.compared["unchanged"] == 1
    assert pair.versions() == before


def test_newer_in_the_destination(pair: Pair) -> None:
    pair.write("a", "local")
    pair.write("b", "b")
    pair.put("a", b"remote", LONG_AGO + HOUR_MILLIS)

    with pytest.raises(b2jobs.JobFailed) as caught:
        pair.up()
    assert "destination_newer 1" in caught.value.failure.message
    assert pair.there() == {"a": b"remote", "b": b"b"}, "the rest goes on"
    assert pair.up(newer="skip").items == 0
    assert pair.up(newer="replace").outcomes == {"transferred": 1}
    assert pair.there()["a"] == b"local"


def test_by_sha1_and_size(pair: Pair) -> None:
    pair.write("same", "same", LONG_AGO + HOUR_MILLIS)
    pair.put("same", b"same")
    pair.write("other", "aaaa")
    pair.put("other", b"bbbb")
    assert pair.up(compare="size").items == 0
    assert pair.up().outcomes == {"transferred": 1}
    pair.write("same", "same", LONG_AGO + 2 * HOUR_MILLIS)
    result = pair.up(compare="sha1")
    assert result.outcomes == {"transferred": 1}
    assert pair.there() == pair.here()


def test_patterns_hold_for_both_sides(pair: Pair) -> None:
    for name in ("a.txt", "b.tmp", "cache/c.txt"):
        pair.write(name)
    pair.put("old.tmp")
    pair.put("cache/old")
    result = pair.up(delete="remove", exclude=["*.tmp", "cache/"])
    assert result.outcomes == {"transferred": 1}
    assert set(pair.there()) == {"a.txt", "old.tmp", "cache/old"}


def test_nothing_is_ever_written_outside_the_destination(
    pair: Pair, make_raw: Callable[[Pair, str, bytes], None]
) -> None:
    good = {"fine": b"1", "a": b"2", "z/y": b"3"}
    bad = ["../escaped", "x/../../escaped", "a/under", "./dot", "d/."]
    for name, content in good.items():
        pair.put(name, content)
    for name in bad:
        make_raw(pair, name, b"evil")
    make_raw(pair, "l" * 250, b"long")
    before = set(pair.installation.data.rglob("*"))

    with pytest.raises(b2jobs.JobFailed) as caught:
        pair.down()

    assert "name_unsafe 4" in caught.value.failure.message
    assert "name_clash 1" in caught.value.failure.message
    assert pair.here() == {**good, "l" * 250: b"long"}
    made = set(pair.installation.data.rglob("*")) - before
    assert all(pair.folder in path.parents for path in made)
    assert not (pair.installation.data / "escaped").exists()


@pytest.fixture
def make_raw() -> Callable[[Pair, str, bytes], None]:
    """Uploads under names that b2sdk itself would refuse."""

    def make(pair: Pair, name: str, content: bytes) -> None:
        import hashlib
        import urllib.request
        from urllib.parse import quote

        url = pair.api.session.get_upload_url(pair.bucket.id_)
        request = urllib.request.Request(
            url["uploadUrl"],
            data=content,
            headers={
                "Authorization": url["authorizationToken"],
                "X-Bz-File-Name": quote(name),
                "Content-Type": "b2/x-auto",
                "X-Bz-Content-Sha1": hashlib.sha1(content).hexdigest(),
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    return make


def test_an_unchanged_tree_costs_one_call_a_thousand_names(
    own_b2: LocalB2, make_installation: Callable[..., Installation]
) -> None:
    installation = make_installation(account=own_b2.account)
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    pair = Pair(installation, own_b2)
    for number in range(2500):
        pair.write(f"{number % 7}/{number:05}", str(number))
    assert pair.up(priority="normal").outcomes == {"transferred": 2500}
    pair.forget_calls()

    result = pair.up(priority="normal")

    assert pair.calls() == {"list_file_names": 3}
    assert result.calls == {"a": 0, "b": 0, "c": 3}
    assert result.dollars == pytest.approx(3 * 0.004 / 1000)
    assert result.compared["unchanged"] == 2500


@pytest.mark.parametrize("overlap", ["wait", "skip", "replace"])
def test_a_second_sync_of_the_pair_does_not_run_beside_the_first(pair: Pair, overlap: str) -> None:
    pair.write("a")
    records = pair.installation.client.records
    # The first holds the pair and is paused before it has listed both sides.
    pair.local_b2.faults.fault(
        "latency", calls=["b2_list_file_names", "b2_list_file_versions"], seconds=2, next=1
    )
    first = pair.installation.client.sync(pair.local, pair.remote)
    held = f"{records.prefix}pair:*"
    eventually(lambda: first.id in map(records.redis.get, records.redis.scan_iter(held)))
    first.pause()
    second = pair.installation.client.sync(pair.local, pair.remote, overlap=overlap)
    if overlap == "skip":
        assert second.wait(60).status == "skipped"
        first.resume()
        assert first.wait(60).outcomes == {"transferred": 1}
    elif overlap == "replace":
        assert second.wait(60).outcomes == {"transferred": 1}
        assert first.state() == "cancelled"
    else:
        assert records.get(second.id).state != "succeeded"
        first.resume()
        assert first.wait(60).outcomes == {"transferred": 1}
        assert second.wait(60).items == 0
    assert pair.versions() == {"a": ["upload"]}


def test_a_folder_that_may_not_be_read_loses_nothing_in_b2(pair: Pair) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    pair.write("secret/a")
    pair.write("b")
    pair.up()
    (pair.folder / "secret").chmod(0)
    with pytest.raises(b2jobs.JobFailed, match="items_failed"):
        pair.up(delete="remove", max_delete=1)
    (pair.folder / "secret").chmod(0o700)
    assert set(pair.there()) == {"secret/a", "b"}


def test_a_sync_down_never_goes_through_a_link_of_its_destination(pair: Pair) -> None:
    """`album -> ../photos` in the destination: photos was emptied, and written to, exit 0."""
    photos = pair.installation.data / f"{pair.name}-photos"
    photos.mkdir()
    (photos / "mine").write_text("mine")
    (photos / "1").write_text("mine too")
    (pair.folder / "album").symlink_to(f"../{photos.name}")
    pair.put("album/1", b"from B2")
    pair.put("album/new", b"from B2")
    pair.put("b", b"2")
    pair.write("gone", "gone")

    with pytest.raises(b2jobs.JobFailed, match="destination_unreadable 1"):
        pair.down(delete="remove", max_delete=1, newer="replace")

    assert {path.name: path.read_text() for path in photos.iterdir()} == {
        "mine": "mine",
        "1": "mine too",
    }
    assert (pair.folder / "album").is_symlink()
    assert {name: text for name, text in pair.here().items() if "/" not in name} == {"b": b"2"}
    job = pair.installation.client.download(f"{pair.remote}album/1", f"{pair.local}album/1")
    with pytest.raises(b2jobs.JobFailed, match="destination_is_link"):
        job.wait(40)
    with pytest.raises(b2jobs.JobFailed, match="destination_is_link"):
        pair.run(f"{pair.remote}album/", f"{pair.local}album/", delete="remove")
    assert (photos / "1").read_text() == "mine too"
    # Taken out by a pattern it is left alone in silence, with all that lies below it.
    assert pair.down(delete="remove", exclude=["album/"]).items == 0


@pytest.mark.parametrize("excluded", [False, True])
def test_a_disk_that_is_not_mounted_loses_nothing_in_b2(pair: Pair, excluded: bool) -> None:
    """`media -> ../disk`, and the disk is away: all below media/ went, with all versions."""
    disk = pair.installation.data / f"{pair.name}-disk"
    (disk / "deep").mkdir(parents=True)
    (disk / "deep" / "1").write_text("1")
    (pair.folder / "media").symlink_to(f"../{disk.name}")
    pair.write("a")
    pair.put("media.txt")
    assert pair.up().outcomes == {"transferred": 2}
    before = pair.versions()
    disk.rename(disk.with_name(f"{disk.name}-away"))

    options = {"delete": "remove", "max_delete": 1}
    if excluded:
        result = pair.up(**options, exclude=["/media"])
        assert result.outcomes == {"deleted": 1}
    else:
        with pytest.raises(b2jobs.JobFailed, match="source_unreadable 1"):
            pair.up(**options)

    assert pair.versions() == {name: v for name, v in before.items() if name != "media.txt"}
    assert pair.there()["media/deep/1"] == b"1"


def test_keep_days_counts_from_when_a_version_was_replaced(pair: Pair) -> None:
    """Two uploads seconds apart, of files from long ago: the first was removed at once."""
    pair.put("a", b"first", LONG_AGO - HOUR_MILLIS)
    pair.put("a", b"second", LONG_AGO)
    pair.write("a", "second")
    pair.put("gone", b"first", LONG_AGO - HOUR_MILLIS)
    pair.put("gone", b"second", LONG_AGO)
    pair.bucket.hide_file("gone")
    assert pair.up(keep_days=30).items == 0
    assert pair.versions() == {"a": ["upload", "upload"], "gone": ["hide", "upload", "upload"]}


def test_a_file_edited_while_a_sync_down_runs_is_not_overwritten(
    own_b2: LocalB2, make_installation: Callable[..., Installation]
) -> None:
    """`newer="fail"` would have protected it, had the edit come a moment sooner."""
    installation = make_installation(account=own_b2.account)
    pair = Pair(installation, own_b2)
    pair.write("edited", "old", LONG_AGO - HOUR_MILLIS)
    for name in ("edited", "made", "other"):
        pair.put(name, b"from B2")
    own_b2.faults.fault("latency", calls="b2_download_file_by_name", seconds=1.5)
    job = installation.client.sync(pair.remote, pair.local)
    pair.forget_calls()
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    eventually(lambda: pair.calls()["download_file_by_name"] == 3)

    pair.write("edited", "work of hours")
    pair.write("made", "made meanwhile")
    with pytest.raises(b2jobs.JobFailed, match="destination_changed 2"):
        job.wait(40)

    assert pair.here() == {
        "edited": b"work of hours",
        "made": b"made meanwhile",
        "other": b"from B2",
    }


def test_a_file_that_is_always_written_fails_alone(pair: Pair) -> None:
    """A log in the tree: the sync, its removals and the next syncs waited up to a day."""
    log = pair.write("log", bytes(12_000_000))
    pair.write("a")
    pair.put("gone")
    done = threading.Event()

    def write() -> None:
        with log.open("a") as file:
            while not done.wait(0.0002):
                file.write("a line\n")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        job = pair.installation.client.sync(pair.local, pair.remote, delete="remove", max_delete=1)
        status = pair.installation.client.batch_job(job.id).status
        told = eventually(lambda: status().troubles)
        assert any("source_changed" in line and f"{pair.local}log" in line for line in told)
        with pytest.raises(b2jobs.JobFailed, match="source_keeps_changing 1"):
            job.wait(60)
        assert pair.there() == {"a": b"x"}, "the rest has come, and the removals"
        [line] = [
            line for line in lines(pair.installation.client.records, job.id) if line.get("code")
        ]
        assert line["source"] == f"{pair.local}log"
        assert "can exclude it" in line["message"]
        assert pair.up(delete="remove", max_delete=1, exclude=["log"]).items == 0
    finally:
        done.set()
        writer.join()


def test_names_that_b2sdk_refuses_are_passed_over_or_removed_by_their_ids(
    pair: Pair, make_raw: Callable[[Pair, str, bytes], None]
) -> None:
    """Placeholders of B2's web page and of S3 tools: such a bucket was never in step."""
    long = "l" * 252
    for name in ("dir/", "dir/sub/", "a//b", f"dir/{long}"):
        make_raw(pair, name, b"" if name.endswith("/") else b"1")
    make_raw(pair, "full/", b"content")
    pair.put("dir/a", b"a")

    with pytest.raises(b2jobs.JobFailed, match="name_unsafe 2"):
        pair.down()
    assert pair.here() == {"dir/a": b"a", f"dir/{long}": b"1"}
    assert pair.down(exclude=["a//b", "full/"]).items == 0
    source = f"{pair.remote}dir/"
    assert pair.run(source, f"{pair.local}dir/").items == 0, "the folder's own is no file in it"

    (pair.folder / "dir" / long).unlink()
    records = pair.installation.client.records
    with pytest.raises(b2jobs.JobFailed, match="name_refused 3") as caught:
        pair.up(delete="hide", max_delete=1)
    reported = [each for each in lines(records, caught.value.job) if each.get("code")]
    assert all("b2id://" in each["message"] for each in reported)
    assert pair.up(delete="remove", max_delete=1).outcomes == {"deleted": 3}
    assert pair.versions() == {"dir/": ["upload"], "dir/a": ["upload"], "dir/sub/": ["upload"]}
    assert pair.up(delete="remove", max_delete=1).items == 0
    inside = pair.run(pair.remote + "dir/", pair.remote + "copy/")
    assert inside.outcomes == {"transferred": 1}


def test_times_that_tools_write_do_not_come_down_at_every_sync(pair: Pair) -> None:
    """At and before 1970 they came as the upload's; nanoseconds were fetched again each time."""
    times = {
        "zero": "0",
        "before": "-86400000",
        "far before": "-9999999999999",
        "far": "99999999999999",
        "nanoseconds": "1700000000000000000",
        "long": "1" * 25,
        "spaced": " 5",
        "grouped": "1_000",
        "arabic": "\u0661\u0662",
    }
    for name, text in times.items():
        info = {"src_last_modified_millis": text}
        pair.bucket.upload_bytes(name.encode(), name, file_info=info)
    assert pair.down().outcomes == {"transferred": len(times)}
    assert pair.millis("zero") == 0
    assert pair.millis("before") == -86_400_000
    assert pair.down().items == 0
    assert pair.up().items == 0
    assert not [path for path in pair.folder.iterdir() if path.name.startswith(".")]


def test_a_hide_marker_stays_while_what_it_hides_cannot_be_removed(
    own_b2: LocalB2, make_installation: Callable[..., Installation]
) -> None:
    """Removed together, the marker went, the version stayed, and was visible again."""
    installation = make_installation(account=own_b2.account)
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    pair = Pair(installation, own_b2)
    pair.put("hidden")
    pair.bucket.hide_file("hidden")
    pair.write("a")
    own_b2.faults.fault(
        "error", calls="b2_delete_file_version", status=400, code="bad_request", next=1
    )
    options = {"delete": "remove", "max_delete": 1}
    with pytest.raises(b2jobs.JobFailed, match="items_failed"):
        pair.up(**options)
    assert pair.versions() == {"a": ["upload"], "hidden": ["hide", "upload"]}
    assert pair.up(**options).outcomes == {"deleted": 2}
    assert pair.versions() == {"a": ["upload"]}


def test_exclude_silences_what_cannot_be_read(pair: Pair) -> None:
    """Such a sync was never green, whatever it left out."""
    pair.write("a")
    (pair.folder / "broken").symlink_to("nothing")
    (pair.folder / "loop").symlink_to(".")
    (pair.folder / "away").symlink_to("/etc")
    os.mkfifo(pair.folder / "pipe")
    Path(os.fsdecode(os.fsencode(pair.folder) + b"/latin\xe9.txt")).touch()
    pair.put("loop/kept")
    with pytest.raises(b2jobs.JobFailed) as caught:
        pair.up(delete="remove", max_delete=1)
    assert "source_unreadable 3" in caught.value.failure.message
    assert "name_not_utf8 1" in caught.value.failure.message
    excluded = ["broken", "loop/", "/away", "latin*"]
    result = pair.up(delete="remove", max_delete=1, exclude=excluded)
    assert (result.status, result.items, result.compared["problems"]) == ("complete", 0, 0)
    assert set(pair.there()) == {"a", "loop/kept"}


def test_links_that_are_skipped_are_not_written_through_either(pair: Pair) -> None:
    photos = pair.installation.data / f"{pair.name}-photos"
    photos.mkdir()
    (photos / "1").write_text("mine")
    (pair.folder / "album").symlink_to(f"../{photos.name}")
    (pair.folder / "file").symlink_to(f"../{photos.name}/1")
    for name in ("album/1", "album/2", "b", "file"):
        pair.put(name, b"from B2")
    with pytest.raises(b2jobs.JobFailed) as caught:
        pair.down(symlinks="skip", delete="remove", max_delete=1)
    assert "destination_is_link 2" in caught.value.failure.message
    assert "destination_changed 1" in caught.value.failure.message, "the link that nobody compared"
    assert {path.name: path.read_text() for path in photos.iterdir()} == {"1": "mine"}
    assert (pair.folder / "file").is_symlink()
    assert (pair.folder / "b").read_bytes() == b"from B2"


@pytest.mark.parametrize("side", ["file", "folder"])
def test_a_file_that_becomes_a_folder_on_the_way_down_says_what_to_do(
    pair: Pair, side: str
) -> None:
    """`Add a file name`, said a sync, to which nobody can add one."""
    pair.write("a/b" if side == "folder" else "a", "local")
    pair.put("a" if side == "folder" else "a/b", b"from B2")
    with pytest.raises(b2jobs.JobFailed, match="items_failed") as caught:
        pair.down(delete="remove", max_delete=1)
    reported = list(lines(pair.installation.client.records, caught.value.job))
    [message] = [each["message"] for each in reported if each.get("code")]
    assert "remove or rename" in message
    assert pair.down().outcomes == {"transferred": 1}, "the first removed, the second writes"
