"""Spans of attempts, items, B2 calls and waits, where this process has OpenTelemetry.

Without it nothing is imported, and each call here is a look at a flag. A span hangs under the one
its attempt has, whichever thread makes it: transfers use many.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import entry_points
from typing import Any

from b2jobs.errors import JobError
from b2jobs.tracing import accepted, place_of, trace_id

_FLUSH_MILLIS = 2000
LEAST_WAIT_SECONDS = 0.005
"""A shorter wait within an attempt is no span of its own."""


def set_up() -> None:
    """Let the SDK's configurator set this process up, where `OTEL_TRACES_EXPORTER` asks for traces.

    It comes with `opentelemetry-distro`; its other variables (`OTEL_...`) are the SDK's.
    """
    if os.environ.get("OTEL_TRACES_EXPORTER"):
        for entry in entry_points(group="opentelemetry_configurator"):
            entry.load()().configure()


def flush() -> None:
    """Hand over what is recorded, before a process ends without further ado; 2 s at most."""
    api = _api()
    hand_over = getattr(api.get_tracer_provider(), "force_flush", None) if api else None
    if hand_over is not None:
        hand_over(_FLUSH_MILLIS)


class Trace:
    """A place in a trace, under which more can hang.

    span: OpenTelemetry's, where this process records it; None where it does not.
    records: whether it does.
    place: its `traceparent` and `tracestate`, else those of the producer: they go on to the parts
        of a batch.
    """

    def __init__(self, span: Any = None, place: str = "") -> None:
        self._span = span
        self.records = span is not None
        self.place = place

    @property
    def id(self) -> str:
        """The trace's id, for logs; empty where there is none."""
        return trace_id(self.place)

    def part(self, name: str, /, **about: Any) -> AbstractContextManager[Trace]:
        """A span *name* under this one while the context lasts; a `JobError` is its failure."""
        return _NO_PART if self._span is None else self._part(name, about)

    def clock(self) -> float:
        """The time, where `waited` has a use for it."""
        return time.time() if self._span is not None else 0.0

    def waited(self, since: float, reason: str) -> None:
        """A wait that is over, since *since*; one that was too short is not told."""
        if self._span is not None and time.time() - since >= LEAST_WAIT_SECONDS:
            _wait(_api(), _api().set_span_in_context(self._span), since, reason)

    def ends(self, state: str, code: str = "") -> None:
        """What became of it; with *code* it has failed."""
        if self._span is not None:
            self._span.set_attribute("b2jobs.state", state)
            if code:
                _fail(self._span, code)

    @contextmanager
    def _part(self, name: str, about: Mapping[str, Any]) -> Iterator[Trace]:
        kind = _api().SpanKind.CLIENT if name.startswith("b2.") else _api().SpanKind.INTERNAL
        above = _api().set_span_in_context(self._span)
        with _span(_api(), name, above, kind, about) as part:
            yield part


NOWHERE = Trace()
_NO_PART = nullcontext(NOWHERE)


@contextmanager
def attempt(kind: str, place: str, since: float, awaited: str, /, **about: Any) -> Iterator[Trace]:
    """The span of an attempt under *place*, and before it that of the wait since *since*.

    Where this process records nothing, the value still knows the place.
    """
    place = accepted(place)
    api = _api()
    if api is None:
        yield Trace(None, place)
        return
    above = _remote(api, place)
    with _span(api, f"b2jobs.{kind}", above, api.SpanKind.CONSUMER, about) as found:
        if since and found._span is not None:
            _wait(api, above or api.set_span_in_context(found._span), since, awaited)
        yield found if found.place else Trace(None, place)


def _api() -> Any:
    """OpenTelemetry, where somebody has set it up; redis-py imports it wherever it is installed."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None or isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
        return None
    return api


@contextmanager
def _span(api: Any, name: str, above: Any, kind: Any, about: Mapping[str, Any]) -> Iterator[Trace]:
    """A span that is this thread's current one too, so that other libraries' hang under it."""
    named = {f"b2jobs.{key}": value for key, value in about.items() if value not in (None, "")}
    span = api.get_tracer("b2jobs").start_span(name, above, kind, named)
    place = place_of(span.get_span_context())
    with api.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield Trace(span if span.is_recording() else None, place)
        except JobError as error:
            _fail(span, error.code)
            raise


def _wait(api: Any, above: Any, since: float, reason: str) -> None:
    now = time.time()
    begun = min(since, now)  # by Redis's clock, which may be ahead
    tracer = api.get_tracer("b2jobs")
    span = tracer.start_span(
        "b2jobs.wait", above, attributes={"b2jobs.reason": reason}, start_time=round(begun * 1e9)
    )
    span.end(round(now * 1e9))


def _fail(span: Any, code: str) -> None:
    span.set_attribute("error.type", code)
    span.set_status(_api().StatusCode.ERROR, code)


def _remote(api: Any, place: str) -> Any:
    """The producer's span, as a context to hang spans under; None for none."""
    if not place:
        return None
    parent, _, state = place.partition(" ")
    _, trace, span, flags = parent.split("-")
    context = api.SpanContext(
        int(trace, 16),
        int(span, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(flags, 16)),
        trace_state=api.TraceState.from_header([state]) if state else None,
    )
    return api.set_span_in_context(api.NonRecordingSpan(context))
