"""The ledger's arithmetic: lines, segments, digest, and what is run again."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs.errors import Failure, InvalidJob
from b2jobs.items import Item, refused, unpacked
from b2jobs.ledger import FIELDS, Digest, LedgerLine, lines_of, report_line, report_text, segment
from b2jobs.reports import ReportReader, csv_lines
from b2jobs_worker.batch.ledger.outcome import Outcome, ledger_line, of_failure, planned_again
from b2jobs_worker.batch.ledger.packs import Change, Entry, OpenPack, Orders
from b2jobs_worker.batch.planner.again import _step
from b2jobs_worker.batch.planner.desk import Desk
from b2jobs_worker.batch.planner.mending import mend

TEXT = st.text(max_size=20)
OUTCOMES = st.one_of(
    st.builds(
        Outcome,
        st.sampled_from(["transferred", "unchanged", "deleted", "hidden"]),
        st.none() | st.integers(0, 10**13),
        st.none() | st.just("a" * 40),
        TEXT,
        TEXT,
        st.integers(1, 9),
        st.integers(0, 10**6),
    ),
    st.builds(
        lambda code: of_failure(
            Item("upload", "s", "d", 5),
            Failure(code=code, message="m", act="caller", attempts=2),
        ),
        st.sampled_from(["cancelled", "source_missing", "disk_full"]),
    ),
)


def lines(outcomes: list[Outcome]) -> list[str]:
    return [
        ledger_line(
            at,
            Item("upload", f"data://r/{at}", f"b2://bucket/{at}", 5, None, at + 1, {"info": {}}),
            outcome,
        )
        for at, outcome in enumerate(outcomes)
    ]


@given(st.lists(OUTCOMES, max_size=40))
def test_segments_keep_every_line_and_may_stand_one_behind_the_other(
    outcomes: list[Outcome],
) -> None:
    written = lines(outcomes)
    half = len(written) // 2
    found = list(lines_of(segment(written[:half]) + segment(written[half:])))
    assert [line[0] for line in found] == list(range(len(outcomes)))
    for line, outcome in zip(found, outcomes, strict=True):
        assert len(line) == len(FIELDS)
        shown = report_line(line)
        assert shown["status"] == outcome.status
        assert shown.get("size") == outcome.size
        assert shown.get("code", "") == outcome.code


@given(st.lists(OUTCOMES, max_size=40), st.sets(st.sampled_from(["source_missing", "disk_full"])))
def test_running_again_takes_each_undone_line_once_and_counts_exactly(
    outcomes: list[Outcome], codes: set[str]
) -> None:
    packed = segment(lines(outcomes))
    change, is_all = _step(packed, {"codes": sorted(codes)}, at=3, number=7)
    assert is_all
    wanted = [
        at
        for at, outcome in enumerate(outcomes)
        if outcome.status in ("failed", "cancelled") and (not codes or outcome.code in codes)
    ]
    taken = [entry for pack in change.packs for entry in pack.entries]
    assert sorted(entry.position for entry in taken) == wanted
    assert all(isinstance(entry.planned, Item) and entry.planned.options for entry in taken)
    kept = list(lines_of(change.segments[3])) if 3 in change.segments else list(lines_of(packed))
    assert sorted([line[0] for line in kept] + wanted) == list(range(len(outcomes)))
    expected = Counter(f"n:{outcomes[at].status}" for at in wanted)
    expected += Counter(f"code:{outcomes[at].code}" for at in wanted)
    found = {name: -count for name, count in change.counts.items() if name != "packs"}
    assert found == dict(expected)
    assert [pack.number for pack in change.packs] == list(range(7, 7 + len(change.packs)))


def test_large_files_are_run_again_a_hundred_packs_at_a_time() -> None:
    # Each is a pack of its own: 512 of them in one step held Redis for 17 ms, those of a ledger's
    # file of 32,000 for a second.
    failure = Failure(code="b2_away", message="No.", act="nobody")
    items = [Item("upload", f"data://r/{n}", f"b2://bucket/{n}", 1 << 30) for n in range(300)]
    packed = segment(
        ledger_line(n, item, of_failure(item, failure)) for n, item in enumerate(items)
    )
    taken: list[int] = []
    sizes, is_all = [], False
    while not is_all:
        change, is_all = _step(packed, {}, at=3, number=7)
        taken += [entry.position for pack in change.packs for entry in pack.entries]
        sizes.append(len(change.packs))
        packed = change.segments[3]
    assert (sizes, packed) == ([128, 128, 44], b"")
    assert taken == list(range(300))


def test_a_lost_pack_becomes_a_hundred_small_ones() -> None:
    items = [Item("upload", f"data://r/{n}", f"b2://bucket/{n}") for n in range(512)]
    opened = OpenPack(
        Orders("default", None, 1), [Entry(n, 0, i) for n, i in enumerate(items)], {}, {}
    )
    written: list[Change] = []
    lost = Failure(code="worker_lost", message="Lost.", act="operator")
    desk = SimpleNamespace(
        attempt=None,
        packs=lambda: {"b.p000000": ("failed", lost)},
        store=SimpleNamespace(open_pack=lambda *_: opened),
        write=written.append,
    )
    state = {"packs": "5"}
    mend(cast("Desk", desk), state)
    (change,) = written
    assert [len(pack.entries) for pack in change.packs] == [4] * 128
    assert [entry.position for pack in change.packs for entry in pack.entries] == list(range(512))
    assert (change.closed, change.counts, state) == (
        ["b.p000000"],
        {"packs": 128},
        {"packs": "133"},
    )


def test_a_refused_line_is_never_run_again() -> None:
    assert planned_again(LedgerLine(0, "refused", "s", "d", "failed")) is None


def test_a_line_refused_for_now_is_run_again_as_the_item_it_would_be() -> None:
    item = Item("upload", "data://r/a", "b2://bucket/a", 5, "a" * 40, 7, {"info": {"k": "v"}})
    refusal = unpacked(refused(item, "bucket_not_found", "There is none.", for_now=True).packed())
    failure = Failure(code="bucket_not_found", message="There is none.", act="caller")
    for planned, again in ((refusal, item), (refused(item, "name_unsafe", "No."), None)):
        packed = segment([ledger_line(3, planned, of_failure(planned, failure))])
        (line,) = lines_of(packed)
        assert (line.item, line.line, line.code) == (3, 7, "bucket_not_found")
        assert planned_again(line) == again


def test_the_middle_of_a_line_is_an_outcome() -> None:
    assert FIELDS[4:13] == Outcome._fields


@given(st.lists(st.dictionaries(TEXT, TEXT, max_size=3), max_size=20), st.randoms())
def test_the_digest_does_not_know_order_but_every_line(
    found: list[dict[str, str]], chance: random.Random
) -> None:
    texts = [report_text(line) for line in found]
    shuffled = chance.sample(texts, len(texts))
    assert digest(texts) == digest(shuffled)
    assert digest([*texts, "{}"]) != digest(texts)
    if texts:
        assert digest([*texts, texts[0]]) != digest(texts)


def digest(texts: list[str]) -> str:
    found = Digest()
    for text in texts:
        found.add(text)
    return found.hexdigest()


LINE = {"destination": "b2://some-bucket/a", "status": "transferred", "size": 3, "sha1": "0" * 40}


def report(*found: dict[str, Any]) -> list[str]:
    texts = [report_text(line) for line in found]
    summary = {"summary": {"lines": len(texts), "digest": digest(texts)}}
    return [*texts, report_text(summary)]


def test_a_report_is_read_again_and_a_changed_one_is_refused() -> None:
    reader = ReportReader()
    elsewhere = [{**LINE, "destination": to} for to in ("s3://other/x/y", "data://root/x")]
    texts = report(LINE, *elsewhere, {**LINE, "destination": "file:///srv/x"})
    expected, *others = reader.expectations(texts)
    assert (expected.bucket, expected.name, expected.size) == ("some-bucket", "a", 3)
    assert [(each.bucket, each.name) for each in others] == [
        ("s3://other", "x/y"),
        ("data://root", "x"),
    ]
    assert reader.unchecked == 1
    for broken in (texts[1:], texts[:-1], [texts[0].replace("3", "4"), *texts[1:]], ["no"]):
        with pytest.raises(InvalidJob):
            list(ReportReader().expectations(broken))


def test_csv_has_a_column_for_everything_but_options() -> None:
    header, row = csv_lines([LINE])
    assert header.split(",")[:5] == ["item", "line", "action", "source", "destination"]
    assert set(FIELDS) - set(header.split(",")) == {"millis", "options"}
    assert "b2://some-bucket/a" in row


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "'quoted", "''=1")


@given(st.sampled_from(FORMULAS) | st.text(max_size=20))
def test_no_cell_of_a_csv_report_is_a_formula_and_each_can_be_read_back(text: str) -> None:
    line = {**LINE, "source": text, "message": text}
    header, row = csv_lines([line])
    [cells] = csv.reader(io.StringIO(row, newline=""))
    found = dict(zip(header.split(","), cells, strict=True))
    for name in ("source", "message"):
        assert not found[name].startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))
        assert found[name].removeprefix("'") == text
    assert found["size"] == str(LINE["size"])
    assert json.loads(report_text(line))["source"] == text


@pytest.mark.parametrize("state", ["done", "failed", "refused", "cancelled"])
def test_the_content_of_a_data_location_is_gone_with_its_items_end(state: str) -> None:
    item = Item("upload", "data:text/plain,secret", "b2://bucket/a")
    code = "cancelled" if state == "cancelled" else "disk_full"
    failure = Failure(code=code, message="m", act="operator", attempts=1)
    planned = refused(item, "disk_full", "m", for_now=True) if state == "refused" else item
    outcome = Outcome("transferred") if state == "done" else of_failure(planned, failure)

    [line] = lines_of(segment([ledger_line(0, planned, outcome)]))

    assert line.source == report_line(line)["source"] == "data:text/plain (6 B)"
    if state != "done":
        assert planned_again(line) is None, "there is nothing that could be sent"


def test_an_empty_data_location_can_be_sent_again() -> None:
    item = Item("upload", "data:,", "b2://bucket/a")
    failure = Failure(code="disk_full", message="m", act="operator", attempts=1)
    [line] = lines_of(segment([ledger_line(0, item, of_failure(item, failure))]))
    assert planned_again(line) == item
