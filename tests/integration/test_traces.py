"""A producer's trace goes on in real worker processes: attempts, items, B2 calls and waits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, use_span

import b2jobs
from b2jobs.errors import JobFailed
from b2jobs.signed import SignatureRefused, Submission
from b2jobs.tracing import accepted, placed, trace_id, traceparent
from b2jobs_worker import tracing
from support.emulator import LocalB2
from support.installation import Installation
from support.processes import Process
from support.waiting import eventually

TRACED = {
    "OTEL_TRACES_EXPORTER": "console",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_SERVICE_NAME": "b2jobs",
    "B2JOBS_LOG_FORMAT": "json",
    "B2JOBS_PART_SIZE_BYTES": "50000",
    "B2JOBS_PROCESSES": "2",
}


def spans_in(output: str) -> Iterator[dict[str, Any]]:
    """What the console exporter has printed, between the lines of the log."""
    for begin in re.finditer(r'^\{\n    "name"', output, re.MULTILINE):
        try:
            found, _ = json.JSONDecoder().raw_decode(output, begin.start())
        except ValueError:  # half written, or a line of the log in it
            continue
        yield found


class Seen:
    """All spans of one trace: those of the worker and those of this process."""

    def __init__(self, worker: Process, trace: str) -> None:
        self._worker = worker
        self._trace = f"0x{trace}"

    def spans(self) -> list[dict[str, Any]]:
        found = spans_in(self._worker.output())
        return [each for each in found if each["context"]["trace_id"] == self._trace]

    def named(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """The spans of this name, as soon as there are so many."""

        def look() -> list[dict[str, Any]]:
            found = [each for each in self.spans() if each["name"] == name]
            return found if len(found) >= count else []

        return eventually(look, what=lambda: [each["name"] for each in self.spans()])


@pytest.fixture
def tracer() -> Any:
    """A producer's own provider, with its spans in memory."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    return provider.get_tracer("producer")


def hexed(span: Any) -> tuple[str, str]:
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"0x{context.span_id:016x}"


def test_a_trace_goes_through_all_processes(
    make_installation: Callable[..., Installation], own_b2: LocalB2, tracer: Any
) -> None:
    installation = make_installation(account=own_b2.account)
    worker = installation.start_worker(**TRACED)
    client = installation.client
    client.bucket("create", "traced-bucket").wait(120)
    (installation.data / "large").write_bytes(b"x" * 120_000)
    (installation.data / "many").mkdir()
    for name in ("a", "b"):
        (installation.data / "many" / name).write_text(name)
    own_b2.faults.fault("service_unavailable", calls="b2_upload_part", next=1)
    manifest = "source,destination\n" + "".join(
        f"data://.my/many/{name},b2://traced-bucket/many/{name}\n" for name in "abc"
    )
    (installation.data / "list.csv").write_text(manifest)

    with tracer.start_as_current_span("a request") as request:
        large = client.upload("data://.my/large", "b2://traced-bucket/large")
        batch = client.batch("data://.my/list.csv")
    trace, above = hexed(request)
    large.wait(120)
    with pytest.raises(JobFailed):
        batch.wait(120)
    seen = Seen(worker, trace)

    [attempt] = seen.named("b2jobs.upload")
    assert (attempt["parent_id"], attempt["kind"]) == (above, "SpanKind.CONSUMER")
    assert attempt["attributes"]["b2jobs.job"] == large.id
    assert attempt["attributes"]["b2jobs.state"] == "succeeded"
    own = attempt["context"]["span_id"]
    parts = seen.named("b2.upload_part", 4)  # three parts, the first refused once
    assert {each["parent_id"] for each in parts} == {own}
    assert sorted(each["status"]["status_code"] for each in parts) == ["ERROR", *["UNSET"] * 3]
    assert all(each["kind"] == "SpanKind.CLIENT" for each in parts)
    waits = {each["attributes"]["b2jobs.reason"]: each for each in seen.named("b2jobs.wait", 3)}
    assert waits["backoff"]["parent_id"] == own
    assert waits["queued"]["parent_id"] == above

    planners = {each["context"]["span_id"]: each for each in seen.named("b2jobs.batch")}
    assert {each["parent_id"] for each in planners.values()} == {above}
    [pack] = seen.named("b2jobs.pack")
    assert pack["parent_id"] in planners
    assert pack["attributes"]["b2jobs.batch"] == batch.id
    items = seen.named("b2jobs.item", 3)
    assert {each["parent_id"] for each in items} == {pack["context"]["span_id"]}
    assert [each["attributes"].get("error.type") for each in items].count("source_missing") == 1
    uploads = seen.named("b2.upload_file", 2)
    of_items = {each["context"]["span_id"] for each in items}
    assert {each["parent_id"] for each in uploads} <= of_items

    shown = json.loads(installation.run("job", "show", large.id, "--json").stdout)
    assert shown["trace"] == trace
    ends = [json.loads(line) for line in worker.output().splitlines() if '"state": ' in line]
    assert {line["job"]: line["trace"] for line in ends if "trace" in line}[large.id] == trace


def test_the_place_in_a_trace_is_signed_along(installation: Installation, tracer: Any) -> None:
    installation.require_signatures()
    with tracer.start_as_current_span("a request"):
        job = installation.client.upload("data:,x", "b2://some-bucket/x")
    values = installation.redis.hgetall(f"{installation.key_prefix}b2jobs:job:{job.id}")
    names = ("id", "kind", "priority", "key", "request")
    said = [values[name] for name in names]
    ring = installation.client.records.ring
    assert ring.check(Submission(*said, trace=values["trace"]), values["signature"]).producer
    for other in ("", values["trace"][:-2] + "00", "x" * 4000):
        with pytest.raises(SignatureRefused):
            ring.check(Submission(*said, trace=other), values["signature"])


PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("", ""),
        ("vendor=a:b;c, other=1", " vendor=a:b;c, other=1"),
        ("v=" + "x" * 510, " v=" + "x" * 510),
        ("v=" + "x" * 511, ""),
        ("v=\x1b[2J", ""),
        ("v=\n", ""),
        (7, ""),
    ],
)
def test_a_tracestate_goes_along_or_is_left_out_as_a_whole(state: object, kept: str) -> None:
    place = placed(PARENT, state)
    assert place == PARENT + kept
    assert accepted(place) == place
    assert trace_id(place) == "ab" * 16
    assert not placed("no", "v=1")


def test_what_vendors_add_reaches_what_hangs_under_a_job(tracer: Any) -> None:
    above = SpanContext(1, 2, True, TraceFlags(1), TraceState([("vendor", "a"), ("o", "1")]))
    with use_span(NonRecordingSpan(above)):
        place = traceparent()
    assert place.partition(" ")[2] == "vendor=a,o=1"
    with tracing.attempt("upload", place, 0.0, "") as trace:
        assert trace.place.partition(" ")[2] == "vendor=a,o=1"
        assert trace_id(trace.place) == trace_id(place)


WITHOUT = """
import sys, time
sys.modules["opentelemetry"] = None  # as where the extra is not installed
import b2jobs, b2jobs.cli.main
from b2jobs.tracing import traceparent
from b2jobs_worker import tracing
from b2jobs_worker.handlers import transfers
tracing.set_up()
with tracing.attempt("upload", "", 1.0, "queued", job="j") as trace:
    began = time.process_time()
    for _ in range(100_000):
        assert traceparent() == ""
        with trace.part("b2.upload_file", account="default"):
            trace.waited(trace.clock(), "pace")
    spent = time.process_time() - began
assert not [name for name in sys.modules if name.startswith("opentelemetry.")]
print(spent / 100_000 * 1e6)
"""


def test_without_opentelemetry_nothing_is_imported_and_nothing_is_paid() -> None:
    """A small upload costs 500 us of CPU below its call; this may cost 10 on a slow machine."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10


def test_a_producer_without_opentelemetry_has_no_place(installation: Installation) -> None:
    job = installation.client.upload("data:,x", "b2://some-bucket/x")
    assert job.record().trace == ""
    assert isinstance(job, b2jobs.Handle)
