"""Copies in parts, and deletes and copies that are gone on with: no effect twice."""

from __future__ import annotations

import hashlib
import importlib
import os

import pytest

from b2jobs.errors import JobError
from b2jobs_worker.attempt import Interrupted, MemoryJournal
from contract.engine.corner import Bench

copying = importlib.import_module("b2jobs_worker.transfer.copy")
copy_large = importlib.import_module("b2jobs_worker.transfer.copy_large")
deleting = importlib.import_module("b2jobs_worker.transfer.delete")

CONTENT = os.urandom(1_000_000)
SHA1 = hashlib.sha1(CONTENT).hexdigest()


@pytest.fixture
def parted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Copies above 500 KB go in parts of 100 KB; there is a source with its digest."""
    monkeypatch.setattr(copying, "ONE_CALL_BYTES", 500_000)
    monkeypatch.setattr(copy_large, "PART_BYTES", 100_000)
    bench.run(
        "upload", source=bench.put("a", CONTENT), destination=bench.b2("a"),
        info={"large_file_sha1": SHA1},
    )  # fmt: skip
    bench.admin.reset()
    return bench


def copy(bench: Bench, number: int = 1, journal: MemoryJournal | None = None, **more: object):
    return bench.run(
        "copy",
        bench.attempt("copy", number=number, journal=journal),
        source=bench.b2("a"),
        destination=bench.b2("b"),
        **more,
    )


def check_copied(bench: Bench) -> None:
    [version] = bench.versions("b")
    assert version.action == "upload"
    assert version.info["large_file_sha1"] == SHA1
    bench.run("download", source=bench.b2("b"), destination="data://out/b")
    assert bench.out("b").read_bytes() == CONTENT


def test_a_large_copy_moves_no_bytes_and_carries_the_digest(parted: Bench) -> None:
    result = copy(parted)
    counters = parted.admin.counters()
    assert counters.calls["b2_copy_part"] == 10
    assert counters.bytes_in < 20_000
    assert counters.bytes_out < 100_000
    assert (result.sha1, result.size) == (SHA1, len(CONTENT))
    check_copied(parted)


def test_a_large_copy_is_gone_on_with(parted: Bench) -> None:
    parted.admin.fault("service_unavailable", calls="b2_copy_part", skip=4)
    journal = MemoryJournal()
    with pytest.raises(JobError) as caught:
        copy(parted, journal=journal)
    assert caught.value.wait is not None
    done = sum(name.startswith("part.") for name in journal.fields)
    assert done >= 1
    parted.admin.reset()
    assert copy(parted, 2, journal).resumed_bytes == done * 100_000
    assert parted.admin.counters().calls["b2_copy_part"] == 10 - done
    check_copied(parted)


def test_a_large_copy_that_fails_for_good_leaves_nothing(parted: Bench) -> None:
    parted.admin.fault("access_denied", calls="b2_copy_part", skip=4)
    with pytest.raises(JobError):
        copy(parted)
    assert parted.versions("b") == []


@pytest.mark.parametrize("fault", ["lost_response", "internal_error"])
def test_a_copy_without_an_answer_is_found(bench: Bench, fault: str) -> None:
    bench.run("upload", source="data:,hello", destination=bench.b2("a"))
    options = {"after_call": True} if fault == "internal_error" else {}
    bench.admin.fault(fault, calls="b2_copy_file", next=1, **options)
    result = copy(bench)
    [version] = bench.versions("b")
    assert version.file_id == result.file_id
    again = copy(bench, 2)
    assert again.file_id == result.file_id


def test_a_copy_with_other_metadata(bench: Bench) -> None:
    bench.run("upload", source="data:,hello", destination=bench.b2("a"), info={"color": "red"})
    copy(bench, content_type="text/x-new", info={"shape": "round"})
    [version] = bench.versions("b")
    assert version.content_type == "text/x-new"
    assert version.info["shape"] == "round"
    assert "color" not in version.info


@pytest.mark.parametrize("versions", ["latest", "all"])
def test_a_delete_that_is_repeated_removes_no_more(
    bench: Bench, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second attempt must not take the version that has become the newest meanwhile."""
    monkeypatch.setattr(deleting, "_PAGE", 4)
    names = ["d/a", "d/b", "d/c", "d/d"]
    for round_ in range(3):
        for name in names:
            bench.run("upload", bench.attempt(f"{name}-{round_}"), source="data:,x",
                      destination=bench.b2(name))  # fmt: skip
    bench.admin.fault("service_unavailable", calls="b2_delete_file_version", skip=2)
    journal = MemoryJournal()
    request = {"target": bench.b2("d/"), "versions": versions}
    with pytest.raises(JobError):
        bench.run("delete", bench.attempt(journal=journal), **request)
    bench.admin.clear_faults()
    result = bench.run("delete", bench.attempt(number=2, journal=journal), **request)
    left = 2 if versions == "latest" else 0
    assert [len(bench.versions(name)) for name in names] == 4 * [left]
    assert result.status == "deleted"


def test_a_file_is_deleted_once_though_the_answer_was_lost(bench: Bench) -> None:
    for number in range(3):
        bench.run("upload", bench.attempt(f"{number}"), source="data:,x",
                  destination=bench.b2("a"))  # fmt: skip
    bench.admin.fault("lost_response", calls="b2_delete_file_version", next=1)
    bench.run("delete", target=bench.b2("a"))
    assert len(bench.versions("a")) == 2


def test_nothing_is_deleted_under_a_lost_lease(bench: Bench) -> None:
    bench.run("upload", source="data:,x", destination=bench.b2("a"))
    attempt = bench.attempt("delete")

    def guard() -> None:
        raise Interrupted("lease lost", keep=True)

    attempt.guard = guard  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        bench.run("delete", attempt, target=bench.b2("a"), versions="all")
    assert len(bench.versions("a")) == 1


def test_an_unfinished_file_is_deleted_by_all(bench: Bench) -> None:
    client = bench.context.client("default", bench.attempt())
    bucket = client.bucket("engine-bucket")
    client.start_large_file(bucket, f"{bench.prefix}a", "b2/x-auto", {}, in_doubt=lambda: None)
    assert [version.action for version in bench.versions("a")] == ["start"]
    bench.run("delete", target=bench.b2("a"), versions="all")
    assert bench.versions("a") == []


def test_a_listing_of_many_pages_is_deleted_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "_PAGE", 3)
    for number in range(10):
        for copy_ in range(2):
            bench.run("upload", bench.attempt(f"{number}-{copy_}"), source="data:,x",
                      destination=bench.b2(f"d/{number}"))  # fmt: skip
    assert bench.run("delete", target=bench.b2("d/")).deleted == 10
    assert {len(bench.versions(f"d/{number}")) for number in range(10)} == {1}
    assert bench.run("delete", target=bench.b2("d/"), versions="all").deleted == 10


@pytest.mark.parametrize("target", ["d/", "d/hidden"])
def test_what_is_hidden_stays_hidden(bench: Bench, target: str) -> None:
    """Removing the newest version of a hidden file, its marker, showed the file again."""
    for name in ("d/a", "d/hidden"):
        bench.run("upload", source="data:,x", destination=bench.b2(name))
    client = bench.context.client("default", bench.attempt())
    bucket = client.bucket("engine-bucket")
    client.hide_file(bucket, f"{bench.prefix}d/hidden")
    result = bench.run("delete", target=bench.b2(target))
    assert result.deleted == (1 if target == "d/" else 0)
    visible, _ = client.list_names(bucket, prefix=f"{bench.prefix}d/")
    assert [each.name for each in visible] == ([] if target == "d/" else [f"{bench.prefix}d/a"])
    assert [each.action for each in bench.versions("d/hidden")] == ["hide", "upload"]
