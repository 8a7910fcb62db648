"""Large uploads that are interrupted, gone on with, and changed under the engine's hands."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from b2jobs.errors import JobError, PassingError
from b2jobs_worker.attempt import DetachedAttempt, Interrupted, MemoryJournal
from b2jobs_worker.sources.port import Source
from b2jobs_worker.transfer import digest, parts
from b2jobs_worker.transfer.buffers import Buffers
from b2jobs_worker.transfer.in_flight import PARTS_START, START, InFlights
from contract.engine.corner import PART_BYTES, Bench, most_at_once

PARTS = 10
CONTENT = os.urandom(PARTS * PART_BYTES - 77)
SHA1 = hashlib.sha1(CONTENT).hexdigest()


class StoppingJournal(MemoryJournal):
    """Interrupts its attempt once *after* parts are recorded, as a hand-back would."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.attempt: DetachedAttempt | None = None

    def parts(self) -> int:
        return sum(name.startswith("part.") for name in self.fields)

    def record(self, fields: dict[str, str]) -> None:
        super().record(fields)
        if self.attempt is not None and self.parts() >= self.after:
            self.attempt.interrupt("handed back", keep=True)


def stop_after(bench: Bench, parts: int) -> StoppingJournal:
    """Upload until *parts* parts are noted, then hand back."""
    journal = StoppingJournal(parts)
    attempt = bench.attempt(journal=journal)
    journal.attempt = attempt
    with pytest.raises(Interrupted):
        bench.run("upload", attempt, source=bench.put("big", CONTENT), destination=bench.b2("big"))
    journal.attempt = None
    return journal


def missing_parts(journal: MemoryJournal) -> set[int]:
    return {number for number in range(1, PARTS + 1) if f"part.{number}" not in journal.fields}


def sent_parts(bench: Bench) -> set[int]:
    """Since the B2's journal was cleared. What an interrupted attempt had begun may be told late:
    it is missing all the same."""
    return {int(entry["part"]) for entry in bench.admin.journal(call="b2_upload_part")}


def go_on(bench: Bench, journal: MemoryJournal, source: str = "data://in/big"):
    return bench.run(
        "upload",
        bench.attempt(number=2, journal=journal),
        source=source,
        destination=bench.b2("big"),
    )


def check_one_version(bench: Bench, content: bytes = CONTENT) -> None:
    """One committed version, nothing unfinished, and the bytes are right."""
    [version] = bench.versions("big")
    assert version.action == "upload"
    result = bench.run("download", source=bench.b2("big"), destination="data://out/big")
    assert bench.out("big").read_bytes() == content
    assert result.sha1 == hashlib.sha1(content).hexdigest()


@pytest.mark.parametrize("parts", [1, 4, 8])
def test_another_worker_goes_on_behind_the_last_part(bench: Bench, parts: int) -> None:
    journal = stop_after(bench, parts)
    done = journal.parts()
    assert done >= parts
    missing = missing_parts(journal)
    other = bench.another_worker()
    other.context.client("default", other.attempt()).account()
    other.run("check")
    bench.admin.clear_journal()
    result = go_on(other, journal)
    assert (result.sha1, result.size) == (SHA1, len(CONTENT))
    assert result.resumed_bytes >= done * PART_BYTES - 77
    # One class C to learn the bucket's id in a new process; none to learn what is there.
    assert bench.admin.counters().calls.get("b2_list_parts", 0) == 0
    assert bench.admin.counters().calls.get("b2_list_file_versions", 0) == 0
    assert sent_parts(bench) == missing
    check_one_version(bench)


def test_what_was_sent_is_not_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = stop_after(bench, 5)
    offset = int(journal.fields["digest"].split(":")[0])
    missing = [n for n in range(1, PARTS + 1) if f"part.{n}" not in journal.fields]
    opened: list[int] = []
    from b2jobs_worker.sources.local import LocalSource

    before = LocalSource.open

    def spying(self: Source, at: int = 0):
        opened.append(at)
        return before(self, at)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalSource, "open", spying)
    go_on(bench, journal)
    gaps = [(n - 1) * PART_BYTES for n in missing if (n - 1) * PART_BYTES < offset]
    rest = [offset] if offset < len(CONTENT) else []
    assert sorted(opened) == sorted([*gaps, *rest])


def test_without_a_portable_digest_the_source_is_read_once_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "_library", lambda: None)
    journal = stop_after(bench, 4)
    assert journal.fields["digest"].endswith(":")
    missing = missing_parts(journal)
    bench.admin.clear_journal()
    result = go_on(bench, journal)
    assert result.sha1 == SHA1
    assert sent_parts(bench) == missing
    check_one_version(bench)


def test_a_source_that_changed_starts_anew(bench: Bench) -> None:
    journal = stop_after(bench, 3)
    changed = os.urandom(len(CONTENT))
    result = go_on(bench, journal, bench.put("big", changed))
    assert result.resumed_bytes == 0
    check_one_version(bench, changed)


def test_a_source_that_changes_while_it_is_read_leaves_nothing(bench: Bench) -> None:
    journal = StoppingJournal(3)
    source = bench.put("big", CONTENT)
    path = bench.folder / "in" / "big"

    class Changing(StoppingJournal):
        def record(self, fields: dict[str, str]) -> None:
            MemoryJournal.record(self, fields)
            with path.open("r+b") as file:
                file.write(b"changed")

    journal = Changing(0)
    with pytest.raises(PassingError) as caught:
        bench.run("upload", bench.attempt(journal=journal), source=source,
                  destination=bench.b2("big"))  # fmt: skip
    assert caught.value.code == "source_changed"
    assert bench.versions("big") == []
    assert journal.fields == {"changed": "1"}
    go_on(bench, MemoryJournal())
    check_one_version(bench, path.read_bytes())


def test_a_cancelled_upload_leaves_nothing(bench: Bench) -> None:
    journal = StoppingJournal(3)
    attempt = bench.attempt(journal=journal)

    def record(fields: dict[str, str]) -> None:
        MemoryJournal.record(journal, fields)
        if journal.parts() >= 3:
            attempt.interrupt("cancelled", keep=False)

    journal.record = record  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        bench.run("upload", attempt, source=bench.put("big", CONTENT), destination=bench.b2("big"))
    assert bench.versions("big") == []
    assert journal.fields == {}


def test_a_job_that_will_not_go_on_is_cleared_away(bench: Bench) -> None:
    from b2jobs.requests import kinds
    from b2jobs_worker import transfer

    journal = stop_after(bench, 3)
    assert [version.action for version in bench.versions("big")] == ["start"]
    request = kinds.build("upload", {"source": "data://in/big", "destination": bench.b2("big")})
    for _ in range(2):
        transfer.abandon(request, bench.attempt(number=2, journal=journal), bench.context)
    assert bench.versions("big") == []


def test_a_large_file_cancelled_by_somebody_starts_anew(bench: Bench) -> None:
    journal = stop_after(bench, 3)
    client = bench.context.client("default", bench.attempt())
    [unfinished] = bench.versions("big")
    client.cancel_large_file(unfinished.file_id)
    assert go_on(bench, journal).sha1 == SHA1
    check_one_version(bench)


@pytest.mark.parametrize("fault", ["lost_response", "internal_error"])
def test_a_finish_without_an_answer_is_not_repeated(bench: Bench, fault: str) -> None:
    options = {"after_call": True} if fault == "internal_error" else {}
    bench.admin.fault(fault, calls="b2_finish_large_file", next=1, **options)
    result = bench.run("upload", source=bench.put("big", CONTENT), destination=bench.b2("big"))
    assert result.sha1 == SHA1
    assert bench.admin.counters().calls["b2_finish_large_file"] == 1
    check_one_version(bench)


def test_a_crash_after_the_finish_is_found_by_the_next_attempt(bench: Bench) -> None:
    journal = MemoryJournal()
    first = bench.run(
        "upload",
        bench.attempt(journal=journal),
        source=bench.put("big", CONTENT),
        destination=bench.b2("big"),
    )
    again = go_on(bench, journal)
    assert (again.file_id, again.sha1) == (first.file_id, SHA1)
    check_one_version(bench)


def test_broken_parts_are_sent_again_and_only_they(bench: Bench) -> None:
    bench.admin.fault("reset_request", calls="b2_upload_part", part=4, bytes=1000, next=1)
    bench.admin.fault("service_unavailable", calls="b2_upload_part", part=6, next=2)
    bench.admin.fault("checksum_mismatch", calls="b2_upload_part", part=7, next=1)
    bench.admin.fault("lost_response", calls="b2_upload_part", part=9, next=1)
    result = bench.run("upload", source=bench.put("big", CONTENT), destination=bench.b2("big"))
    assert result.sha1 == SHA1
    check_one_version(bench)


def test_a_part_that_b2_lost_is_sent_by_the_next_attempt(bench: Bench) -> None:
    journal = MemoryJournal()
    source = bench.put("big", CONTENT)
    bench.admin.fault(
        "error", calls="b2_finish_large_file", next=1, status=400, code="missing_part",
        message="part 3 is missing",
    )  # fmt: skip
    with pytest.raises(JobError) as caught:
        bench.run("upload", bench.attempt(journal=journal), source=source,
                  destination=bench.b2("big"))  # fmt: skip
    assert caught.value.code == "parts_incomplete"
    assert caught.value.wait is not None
    assert go_on(bench, journal).sha1 == SHA1
    check_one_version(bench)


def test_a_permanent_failure_leaves_nothing(bench: Bench) -> None:
    bench.admin.fault("unauthorized", calls="b2_upload_part", part=5)
    with pytest.raises(JobError) as caught:
        bench.run("upload", source=bench.put("big", CONTENT), destination=bench.b2("big"))
    assert caught.value.wait is None
    assert bench.versions("big") == []


def test_skip_knows_a_large_file_again(bench: Bench) -> None:
    source = bench.put("big", CONTENT)
    for job, status in (("one", "transferred"), ("two", "unchanged")):
        result = bench.run(
            "upload", bench.attempt(job), source=source, destination=bench.b2("big"),
            if_exists="skip",
        )  # fmt: skip
        assert (result.status, result.sha1) == (status, SHA1)
    [version] = bench.versions("big")
    assert version.info["large_file_sha1"] == SHA1
    down = bench.run("download", source=bench.b2("big"), destination="data://out/big")
    assert down.verified


class Pipe:
    """A source whose end is only known when it is reached, and that cannot be entered midway."""

    uri = "https://pipe.example/file"
    size: int | None = None
    modified_millis: int | None = None
    identity = "etag"
    content_type: str | None = None
    ranged = False

    def __init__(self, content: bytes, size: int | None = None) -> None:
        self.content = content
        self.size = size

    @contextmanager
    def open(self, offset: int = 0) -> Iterator[io.BytesIO]:
        stream = io.BytesIO(self.content)
        stream.seek(offset)
        yield stream

    def check_unchanged(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 1_000_000])
def test_a_stream_of_unknown_length(bench: Bench, size: int) -> None:
    content = CONTENT[:size]
    piped = replace(
        bench, context=replace(bench.context, open_source=lambda _, **__: Pipe(content))
    )
    result = piped.run("upload", source="https://pipe.example/f", destination=bench.b2("big"))
    assert (result.size, result.sha1) == (size, hashlib.sha1(content).hexdigest())
    if size < PART_BYTES:
        assert "b2_start_large_file" not in bench.admin.counters().calls
    check_one_version(bench, content)


@pytest.mark.parametrize("told", [len(CONTENT) - 1, len(CONTENT) + 1, 100, 2 * PART_BYTES])
def test_a_stream_of_another_length_than_it_says(bench: Bench, told: int) -> None:
    pipe = Pipe(CONTENT, told)
    piped = replace(bench, context=replace(bench.context, open_source=lambda _, **__: pipe))
    with pytest.raises(PassingError) as caught:
        piped.run("upload", source="https://pipe.example/f", destination=bench.b2("big"))
    assert caught.value.code == "source_changed"
    assert bench.versions("big") == []


def test_parts_too_large_for_memory_are_streamed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BUFFERED_MOST_BYTES", 100_000)
    bench.admin.fault("reset_request", calls="b2_upload_part", part=4, bytes=1000, next=1)
    journal = stop_after(bench, 5)
    result = go_on(bench, journal)
    assert (result.sha1, result.resumed_bytes) == (SHA1, 5 * PART_BYTES)
    assert bench.admin.repeated_bytes() <= PART_BYTES + 40  # the part that was reset
    check_one_version(bench)


def test_other_settings_do_not_change_a_file_that_was_begun(bench: Bench) -> None:
    journal = stop_after(bench, 3)
    missing = missing_parts(journal)
    other = bench.with_settings(part_size_bytes=3 * PART_BYTES)
    context = replace(other.context, in_flight=InFlights(1), buffers=Buffers(PART_BYTES))
    bench.admin.clear_journal()
    result = go_on(replace(other, context=context), journal)
    assert result.sha1 == SHA1
    assert sent_parts(bench) == missing
    check_one_version(bench)


def test_a_far_b2_is_sent_more_parts_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most_at_once(monkeypatch)
    far = bench.with_settings(part_size_bytes=50_000)
    source, destination = bench.put("big", CONTENT + CONTENT[:500_000]), bench.b2("big")
    bench.admin.fault("latency", seconds=0.15)
    far.run("upload", source=source, destination=destination)
    bench.admin.clear_faults()
    assert at_once() > PARTS_START
    check_one_version(bench, CONTENT + CONTENT[:500_000])


def test_a_far_b2_is_sent_no_more_than_there_is_memory_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = most_at_once(monkeypatch)
    far = bench.with_settings(part_size_bytes=50_000)
    far = replace(far, context=replace(far.context, buffers=Buffers(6 * 50_000)))
    source, destination = bench.put("big", CONTENT), bench.b2("big")
    bench.admin.fault("latency", seconds=0.1)
    far.run("upload", source=source, destination=destination)
    bench.admin.clear_faults()
    assert START < at_once() <= 6
    assert far.context.buffers.used_bytes == 0


def test_refusals_for_load_bring_it_down(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most_at_once(monkeypatch)
    bench.admin.fault("service_unavailable", calls="b2_upload_part", part=5, next=1)
    far = bench.with_settings(part_size_bytes=50_000)
    source, destination = bench.put("big", CONTENT), bench.b2("big")
    bench.admin.fault("latency", seconds=0.1)
    far.run("upload", source=source, destination=destination)
    bench.admin.clear_faults()
    assert at_once() <= PARTS_START
    check_one_version(bench)


def test_large_uploads_share_memory_that_is_less_than_a_part_for_each(bench: Bench) -> None:
    bench.put("big", CONTENT)
    context = replace(bench.context, buffers=Buffers(2 * PART_BYTES))
    small = replace(bench, context=context)
    small.context.threads.each(
        lambda job: small.run(
            "upload", small.attempt(job), source="data://in/big", destination=bench.b2(job)
        ),
        ["a", "b", "c", "d"],
        width=4,
    )
    assert [bench.versions(job)[0].size for job in "abcd"] == 4 * [len(CONTENT)]
    assert context.buffers.used_bytes == 0


@pytest.mark.parametrize("known", [True, False])
def test_one_part_is_a_small_file(bench: Bench, known: bool) -> None:
    """B2 makes no large file of one part: such a job failed for good."""
    content = CONTENT[: 2 * PART_BYTES]
    large = bench.with_settings(part_size_bytes=2 * PART_BYTES)
    pipe = Pipe(content, len(content) if known else None)
    piped = replace(large, context=replace(large.context, open_source=lambda _, **__: pipe))
    result = piped.run("upload", source="https://pipe.example/f", destination=bench.b2("big"))
    assert result.sha1 == hashlib.sha1(content).hexdigest()
    assert "b2_start_large_file" not in bench.admin.counters().calls
    check_one_version(bench, content)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_file_that_somebody_cancels_begins_anew(bench: Bench, attempts: int) -> None:
    journal = stop_after(bench, 3) if attempts == 2 else MemoryJournal()
    attempt = bench.attempt(number=attempts, journal=journal)
    client = bench.context.client("default", bench.attempt())
    cancelled: list[str] = []
    lock = threading.Lock()

    def cancel(phase: str, done: int, total: int | None = None) -> None:
        with lock:
            if phase == "sending" and done > 5 * PART_BYTES and not cancelled:
                [unfinished] = bench.versions("big")
                cancelled.append(unfinished.file_id)
                client.cancel_large_file(unfinished.file_id)

    attempt.progress = cancel  # type: ignore[method-assign]
    result = bench.run(
        "upload", attempt, source=bench.put("big", CONTENT), destination=bench.b2("big")
    )
    assert len(cancelled) == 1
    assert result.sha1 == SHA1
    check_one_version(bench)


def test_a_source_that_always_changes_ends_the_job(bench: Bench) -> None:
    """A log in a sync was sent again and again for a day, and the sync waited for it."""
    journal = MemoryJournal()
    path = bench.folder / "in" / "log"
    path.write_bytes(CONTENT)

    class Written(MemoryJournal):
        def record(self, fields: dict[str, str]) -> None:
            super().record(fields)
            with path.open("ab") as file:
                file.write(b"a line")

    waits = []
    for number in range(1, 5):
        written = Written()
        written.fields = journal.fields
        attempt = bench.attempt(number=number, journal=written)
        with pytest.raises(JobError) as caught:
            bench.run("upload", attempt, source="data://in/log", destination=bench.b2("big"))
        waits.append(caught.value.wait.seconds if caught.value.wait else None)
    assert waits == [1.0, 3.0, 9.0, None]
    assert caught.value.code == "source_keeps_changing"
    assert "data://in/log" in caught.value.message
    assert bench.versions("big") == []
