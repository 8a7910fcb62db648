"""Spans: everything is handed out once, and the frontier is where the first gap begins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from b2jobs_worker.transfer.spans import Span, Spans, span_bytes

MIB = 1024 * 1024


@given(
    start=st.integers(0, 3 * MIB),
    length=st.integers(1, 100 * MIB),
    first=st.integers(1, 20 * MIB),
    data=st.data(),
)
def test_spans_in_any_order(start: int, length: int, first: int, data: st.DataObject) -> None:
    end = start + length
    spans = Spans(start, end, first_end=start + first)
    taken: list[Span] = []
    while span := spans.take():
        taken.append(span)
    assert taken[0].start == start
    assert taken[0].end == min(start + first, end)
    assert [span.end for span in taken] == [*(span.start for span in taken[1:]), end]
    for span in data.draw(st.permutations(taken)):
        spans.wrote(span, span.end - span.start)
        gaps = [other.position for other in taken if other.position < other.end]
        assert spans.wait_beyond(-1, 0) == min(gaps, default=end)
    assert spans.received == length


def test_a_stopped_download_hands_out_nothing() -> None:
    spans = Spans(0, 100 * MIB, first_end=MIB)
    assert spans.take() is not None
    spans.stop()
    assert spans.take() is None
    assert spans.wait_beyond(0, 60) == 0


def test_a_request_is_neither_tiny_nor_endless() -> None:
    assert span_bytes(17 * MIB) == 16 * MIB
    assert span_bytes(1024 * MIB) == 32 * MIB
    assert span_bytes(10**12) == 128 * MIB
