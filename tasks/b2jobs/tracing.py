"""A job's place in its producer's trace, where that has OpenTelemetry (extra `otel`).

It is the `traceparent` of https://www.w3.org/TR/trace-context/ and, behind a space, its
`tracestate` where there is one: 55 characters, and 512 more at most. It travels in the record, and
whoever signs the job signs it along.
"""

from __future__ import annotations

import re
import sys
from typing import Any

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_STATE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,510}[\x21-\x7e])?")


def traceparent() -> str:
    """The place of what this thread does now; empty where nothing is traced.

    Whoever traces has imported OpenTelemetry: asking imports nothing.
    """
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return ""
    return place_of(api.get_current_span().get_span_context())


def place_of(context: Any) -> str:
    """The place of OpenTelemetry's span *context*; empty for one that is none."""
    if not context.is_valid:
        return ""
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return placed(parent, context.trace_state.to_header())


def placed(parent: object, state: object = "") -> str:
    """The place that two headers name; nothing where *parent* is no `traceparent`, and without
    a *state* that is none, or a longer one: neither is a reason to refuse a job."""
    if not isinstance(parent, str) or not _FORM.fullmatch(parent):
        return ""
    if isinstance(state, str) and _STATE.fullmatch(state):
        return f"{parent} {state}"
    return parent


def accepted(text: object) -> str:
    """*text* where it is a place, else nothing."""
    return placed(*text.partition(" ")[::2]) if isinstance(text, str) else ""


def trace_id(place: str) -> str:
    """The trace's id in a `traceparent`, as traces are looked up by; empty for none."""
    return accepted(place)[3:35]
