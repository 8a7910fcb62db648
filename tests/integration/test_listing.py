"""Pages of jobs on a real Redis: nothing twice, nothing left out, and a bounded look."""

from __future__ import annotations

import json

import pytest

from b2jobs import listing
from b2jobs.errors import InvalidJob
from b2jobs.listing import Filter, View
from support.installation import Installation


def put(installation: Installation, job_id: str, state: str, score: float, **more: str) -> None:
    """A record as the scripts leave it, at a time of the test's choice."""
    records = installation.client.records
    values = {
        "id": job_id,
        "kind": "upload",
        "state": state,
        "priority": "normal",
        "request": '{"source": "data://x/a", "destination": "b2://b/a"}',
        "retry": "1",
        "attempts": "0",
        "lost": "0",
        "ended": str(score),
        **more,
    }
    records.redis.hset(f"{records.prefix}job:{job_id}", mapping=values)
    shelf = f"queued:{values['priority']}" if state == "queued" else state
    records.redis.zadd(f"{records.prefix}{shelf}", {job_id: score})


def walk(installation: Installation, view: View, **options: object) -> list[str]:
    records = installation.client.records
    found: list[str] = []
    after = ""
    while True:
        page = listing.page(records, view, after=after, **options)  # type: ignore[arg-type]
        found += [record.id for record in page.records]
        after = page.after
        if not after:
            return found


@pytest.mark.parametrize("limit", [1, 2, 7, 50])
def test_every_job_of_a_view_is_on_one_page(installation: Installation, limit: int) -> None:
    for n in range(9):
        put(installation, f"f{n}", "failed", 100.5 + n // 3)  # three at each moment
        put(installation, f"s{n}", "succeeded", 100.5 + n)
        put(installation, f"q{n}", "queued", n, priority=["high", "normal", "low"][n % 3])
        put(installation, f"w{n}", "waiting", n, kind="pack" if n == 4 else "upload")
    ended = walk(installation, "ended", limit=limit)
    assert sorted(ended) == sorted({*(f"f{n}" for n in range(9)), *(f"s{n}" for n in range(9))})
    assert ended[0] == "s8"
    waiting = [f"w{n}" for n in range(8, -1, -1) if n != 4]  # parts of batches are not listed
    queued = [f"q{n}" for n in range(8, -1, -1)]
    assert walk(installation, "open", limit=limit) == [*waiting, *queued]


def test_a_page_goes_on_where_it_ended_although_its_last_job_has_gone(
    installation: Installation,
) -> None:
    records = installation.client.records
    for n in range(6):
        put(installation, f"f{n}", "failed", n)
    first = listing.page(records, "failed", limit=2)
    records.redis.zrem(f"{records.prefix}failed", "f4")
    put(installation, "new", "failed", 99)
    then = listing.page(records, "failed", limit=2, after=first.after)
    assert [record.id for record in then.records] == ["f3", "f2"]


def test_a_filter_looks_at_a_bounded_number_and_says_so(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = installation.client.records
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 500)
    for n in range(1200):
        put(installation, f"f{n:04}", "failed", n)
    code = json.dumps({"code": "cap", "message": "m", "act": "operator"})
    request = '{"source": "data://x/rare.png", "account": "archive"}'
    put(installation, "f0100", "failed", 100, failure=code, request=request)
    put(installation, "broken", "failed", 5000, request="no json", failure="neither")

    page = listing.page(records, "failed", wanted=Filter(code="cap"))
    assert (page.records, page.looked_at) == ([], 500)
    for wanted in (Filter(code="cap"), Filter(text="rare"), Filter(account="archive")):
        assert walk(installation, "failed", wanted=wanted) == ["f0100"]
    assert walk(installation, "failed", wanted=Filter(kind="copy")) == []
    broken, next_one = listing.page(records, "failed", limit=2).records
    assert broken.failure is not None
    assert (broken.id, broken.request, broken.failure.code) == ("broken", {}, "record_broken")
    assert next_one.id == "f1199"


@pytest.mark.parametrize("after", ["x", "0~1", "9~1~a", "-1~1~a", "0~nan~a", "0~x~a"])
def test_what_is_no_place_is_refused(installation: Installation, after: str) -> None:
    with pytest.raises(InvalidJob, match="after is"):
        listing.page(installation.client.records, "failed", after=after)


def test_jobs_are_counted_by_when_they_ended(installation: Installation) -> None:
    for n, moment in enumerate([10, 19.5, 20, 25]):
        put(installation, f"f{n}", "failed", moment)
    counts = listing.ended_between(installation.client.records, [10, 20, 30])
    assert counts == {"succeeded": [0, 0], "failed": [2, 2], "cancelled": [0, 0]}
