"""Downloads that break, arrive wrong, are gone on with, or stop."""

from __future__ import annotations

import hashlib
import importlib
import os
import threading

import pytest

from b2jobs.errors import CallerError, JobError, PassingError
from b2jobs_worker.attempt import Interrupted, MemoryJournal
from b2jobs_worker.transfer.in_flight import START
from contract.engine.corner import Bench, most_at_once

fetch = importlib.import_module("b2jobs_worker.transfer.download_large")
range_lanes = importlib.import_module("b2jobs_worker.transfer.range_lanes")
spans = importlib.import_module("b2jobs_worker.transfer.spans")

CONTENT = os.urandom(3_000_011)
SHA1 = hashlib.sha1(CONTENT).hexdigest()


@pytest.fixture
def many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Spans of 200 KB, a note after each, and a file of 3 MB that has its digest."""
    monkeypatch.setattr(fetch, "FIRST_BYTES", 200_000)
    monkeypatch.setattr(fetch, "_NOTE_BYTES", 1)
    monkeypatch.setattr(spans, "_LEAST_BYTES", 200_000)
    bench.run(
        "upload", source=bench.put("big", CONTENT), destination=bench.b2("big"),
        info={"large_file_sha1": SHA1},
    )  # fmt: skip
    bench.admin.reset()
    return bench


def down(bench: Bench, number: int = 1, journal: MemoryJournal | None = None, **more: object):
    return bench.run(
        "download",
        bench.attempt(number=number, journal=journal),
        source=bench.b2("big"),
        destination="data://out/big",
        **more,
    )


def check_arrived(bench: Bench) -> None:
    assert bench.out("big").read_bytes() == CONTENT
    assert [path.name for path in bench.folder.joinpath("out").iterdir()] == ["big"]


def test_many_spans_arrive_verified(many: Bench) -> None:
    result = down(many)
    assert (result.sha1, result.verified, result.resumed_bytes) == (SHA1, True, 0)
    assert result.calls["b"] == 16
    assert many.admin.repeated_bytes() == 0
    check_arrived(many)


def test_a_far_b2_is_asked_for_more_ranges_at_once(
    many: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((fetch, "FIRST_BYTES"), (spans, "_LEAST_BYTES"),
                         (fetch, "SAMPLE_BYTES"), (range_lanes, "SAMPLE_BYTES")):  # fmt: skip
        monkeypatch.setattr(module, name, 20_000)
    monkeypatch.setattr(spans, "_SPANS_A_FILE", 150)
    at_once = most_at_once(monkeypatch)
    many.admin.fault("latency", seconds=0.08)
    assert down(many).verified
    assert at_once() > 2 * START
    assert many.context.buffers.used_bytes == 0
    check_arrived(many)


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("reset_response", {"bytes": 50_000, "next": 3}),
        ("truncate", {"bytes": 50_000, "next": 3}),
        ("service_unavailable", {"next": 3}),
        ("expired_auth_token", {"next": 2}),
        ("too_many_requests", {"next": 1, "retry_after": 1}),
    ],
)
def test_what_breaks_is_gone_on_with(many: Bench, fault: str, options: dict[str, int]) -> None:
    many.admin.fault(fault, calls="b2_download_*", **options)
    result = down(many)
    assert result.sha1 == SHA1
    check_arrived(many)


def test_a_corrupted_byte_is_noticed_in_a_large_file(many: Bench) -> None:
    many.admin.fault("corrupt", calls="b2_download_*", bytes=77, skip=5, next=1)
    journal = MemoryJournal()
    with pytest.raises(PassingError) as caught:
        down(many, journal=journal)
    assert caught.value.code == "checksum_mismatch"
    assert list(many.folder.joinpath("out").iterdir()) == []
    assert down(many, 2, journal).resumed_bytes == 0
    check_arrived(many)


def test_a_corrupted_byte_is_noticed_in_a_small_file(bench: Bench) -> None:
    bench.run("upload", source="data:,hello", destination=bench.b2("big"))
    bench.out("big").write_text("old")
    bench.admin.fault("corrupt", calls="b2_download_*", bytes=1, next=1)
    with pytest.raises(PassingError) as caught:
        down(bench)
    assert caught.value.code == "checksum_mismatch"
    assert [path.name for path in bench.folder.joinpath("out").iterdir()] == ["big"]
    assert bench.out("big").read_text() == "old"


class Stopping(MemoryJournal):
    """Ends its attempt when *bytes_* without a gap are noted."""

    def __init__(self, bench: Bench, bytes_: int, *, keep: bool) -> None:
        super().__init__()
        self.attempt = bench.attempt(journal=self)
        self.bytes = bytes_
        self.keep = keep

    def record(self, fields: dict[str, str]) -> None:
        super().record(fields)
        import json

        if json.loads(self.fields["fetch"])["done"] >= self.bytes:
            self.attempt.interrupt("stopped", keep=self.keep)


def stop(bench: Bench, bytes_: int, *, keep: bool = True) -> MemoryJournal:
    journal = Stopping(bench, bytes_, keep=keep)
    with pytest.raises(Interrupted):
        bench.run("download", journal.attempt, source=bench.b2("big"), destination="data://out/big")
    left = MemoryJournal()
    left.fields = journal.fields
    return left


@pytest.mark.parametrize("reached", [200_000, 1_500_000, len(CONTENT)])
def test_a_later_attempt_goes_on_behind_what_was_verified(many: Bench, reached: int) -> None:
    journal = stop(many, reached)
    many.admin.clear_journal()
    result = down(many, 2, journal)
    assert result.resumed_bytes >= reached
    assert result.sha1 == SHA1
    assert many.admin.counters().bytes_out < len(CONTENT) - reached + 50_000
    check_arrived(many)


@pytest.mark.parametrize("why", ["handed back", "a failure"])
def test_an_attempt_that_ends_notes_how_far_it_has_come(
    many: Bench, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(fetch, "_NOTE_BYTES", 1 << 30)  # none by itself but the one at the start
    journal = MemoryJournal()
    attempt = many.attempt(journal=journal)
    if why == "a failure":
        many.admin.fault("service_unavailable", calls="b2_download_*", skip=8)
    else:
        many.admin.fault("latency", calls="b2_download_*", seconds=30, skip=8)
        threading.Timer(1.0, lambda: attempt.interrupt("handed_back", keep=True)).start()
    with pytest.raises((Interrupted, JobError)):
        many.run("download", attempt, source=many.b2("big"), destination="data://out/big")
    many.admin.clear_faults()
    assert down(many, 2, journal).resumed_bytes >= 200_000
    check_arrived(many)


def test_what_was_damaged_on_disk_is_fetched_again(many: Bench) -> None:
    journal = stop(many, 1_000_000)
    [part] = many.folder.joinpath("out").iterdir()
    with part.open("r+b") as file:
        file.seek(500)
        file.write(b"damaged")
    result = down(many, 2, journal)
    assert (result.resumed_bytes, result.sha1) == (0, SHA1)
    check_arrived(many)


def test_on_another_disk_it_begins_anew(many: Bench) -> None:
    journal = stop(many, 1_000_000)
    [part] = many.folder.joinpath("out").iterdir()
    part.unlink()
    assert down(many, 2, journal).resumed_bytes == 0
    check_arrived(many)


def test_it_stays_with_the_version_it_began_with(many: Bench) -> None:
    journal = stop(many, 1_000_000)
    many.run("upload", many.attempt("new"), source="data:,new", destination=many.b2("big"))
    assert down(many, 2, journal).sha1 == SHA1
    check_arrived(many)


def test_a_version_that_was_deleted_gives_way_to_the_newest(many: Bench) -> None:
    journal = stop(many, 1_000_000)
    many.run("upload", many.attempt("new"), source="data:,new", destination=many.b2("big"))
    many.run("delete", target=many.b2("big"), versions=many.versions("big")[1].file_id)
    assert down(many, 2, journal).size == 3
    assert many.out("big").read_text() == "new"


def test_a_cancelled_download_leaves_nothing(many: Bench) -> None:
    many.out("big").write_text("old")
    stop(many, 500_000, keep=False)
    assert [path.name for path in many.folder.joinpath("out").iterdir()] == ["big"]
    assert many.out("big").read_text() == "old"


def test_a_cancel_ends_a_silent_download(many: Bench) -> None:
    many.admin.fault("latency", calls="b2_download_*", seconds=30, skip=2)
    attempt = many.attempt()
    threading.Timer(0.5, lambda: attempt.interrupt("cancelled")).start()
    with pytest.raises(Interrupted):
        many.run("download", attempt, source=many.b2("big"), destination="data://out/big")
    assert list(many.folder.joinpath("out").iterdir()) == []


def test_a_lasting_failure_keeps_the_part_file_for_the_next_attempt(many: Bench) -> None:
    many.admin.fault("service_unavailable", calls="b2_download_*", skip=4)
    journal = MemoryJournal()
    with pytest.raises(JobError) as caught:
        down(many, journal=journal)
    assert caught.value.wait is not None
    many.admin.clear_faults()
    assert down(many, 2, journal).sha1 == SHA1
    check_arrived(many)


def test_what_is_missing_is_the_callers_matter(bench: Bench) -> None:
    for source in (bench.b2("nothing"), "b2id://4_z27c88f1d182b150646ff0b16_f1004ba650fe24e6b"):
        with pytest.raises(CallerError):
            bench.run("download", source=source, destination="data://out/nothing")
    assert list(bench.folder.joinpath("out").iterdir()) == []


def test_if_exists(bench: Bench) -> None:
    bench.run("upload", source="data:,hello", destination=bench.b2("big"))
    assert down(bench, if_exists="fail").status == "transferred"
    with pytest.raises(CallerError) as caught:
        down(bench, if_exists="fail")
    assert caught.value.code == "destination_exists"
    assert down(bench, 2, if_exists="fail").status == "unchanged"
    bench.admin.clear_journal()
    assert down(bench, if_exists="skip").status == "unchanged"
    bench.out("big").write_text("other")
    assert down(bench, if_exists="skip").status == "transferred"
    assert bench.out("big").read_text() == "hello"


def test_a_range_outside_of_the_file(bench: Bench) -> None:
    bench.run("upload", source="data:,hello", destination=bench.b2("big"))
    with pytest.raises(CallerError) as caught:
        down(bench, range="5-9")
    assert caught.value.code == "range_not_satisfiable"
    assert down(bench, range="3-99").size == 2
    assert bench.out("big").read_text() == "lo"


def test_a_version_that_goes_on_the_way_is_no_failure(many: Bench) -> None:
    """By name the file is there all the time; the job failed with "correct the name"."""
    other = os.urandom(2_000_003)
    [first] = many.versions("big")

    class Replacing(MemoryJournal):
        """Replaces the file when its first answer has come, and before the others are asked."""

        replaced = False

        def record(self, fields: dict[str, str]) -> None:
            super().record(fields)
            if not self.replaced:
                self.replaced = True
                many.run("upload", many.attempt("other"), source=many.put("other", other),
                         destination=many.b2("big"))  # fmt: skip
                client = many.context.client("default", many.attempt())
                client.delete_version(first.file_id, first.name)

    journal = Replacing()
    result = down(many, journal=journal)
    assert journal.replaced
    assert result.sha1 == hashlib.sha1(other).hexdigest()
    assert many.out("big").read_bytes() == other


def put_with_digest(bench: Bench, said: str) -> None:
    bench.run("upload", source=bench.put("big", CONTENT), destination=bench.b2("told"))
    [version] = bench.versions("told")
    bench.run(
        "copy", source=f"b2id://{version.file_id}", destination=bench.b2("big"),
        content_type="text/plain", info={"large_file_sha1": said},
    )  # fmt: skip


def test_a_digest_that_is_wrong_ends_the_job_at_the_second_time(bench: Bench) -> None:
    """It was fetched again and again for a day."""
    put_with_digest(bench, "0" * 40)
    journal = MemoryJournal()
    for number, code in ((1, "checksum_mismatch"), (2, "checksum_differs")):
        with pytest.raises(JobError) as caught:
            down(bench, number, journal)
        assert caught.value.code == code
    assert caught.value.wait is None
    assert "0" * 40 in caught.value.message
    assert SHA1 in caught.value.message
    assert list(bench.folder.joinpath("out").iterdir()) == []
    taken = down(bench, verify=False)
    assert (taken.sha1, taken.verified) == (SHA1, False)
    check_arrived(bench)


def test_upper_case_is_the_same_digest(bench: Bench) -> None:
    put_with_digest(bench, SHA1.upper())
    assert down(bench).verified
