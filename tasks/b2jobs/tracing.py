"""A job's place in its producer's trace, where that has OpenTelemetry (extra `otel`).

It is the `traceparent` of https://www.w3.org/TR/trace-context/: at most 55 characters. It travels
in the record, and whoever signs the job signs it along.
"""

from __future__ import annotations

import re
import sys

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent() -> str:
    """The place of what this thread does now; empty where nothing is traced.

    Whoever traces has imported OpenTelemetry: asking imports nothing.
    """
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return ""
    found = api.get_current_span().get_span_context()
    if not found.is_valid:
        return ""
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def accepted(text: object) -> str:
    """*text* where it is a `traceparent`, else nothing: a bad one is no reason to refuse a job."""
    return text if isinstance(text, str) and _FORM.fullmatch(text) else ""


def trace_id(place: str) -> str:
    """The trace's id in a `traceparent`, as traces are looked up by; empty for none."""
    return accepted(place)[3:35]
