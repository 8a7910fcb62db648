"""What people read: money, sizes, times, and names that cannot move the terminal."""

from __future__ import annotations

import pytest

from b2jobs.cli import show
from b2jobs.cli.session import Session
from b2jobs.results import BucketResult, CheckResult


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0"), (4e-06, "$0.000004"), (0.5, "$0.50"), (12.3, "$12.30"), (1234.0, "$1234.00")],
)
def test_money_is_no_power_of_ten(amount: float, text: str) -> None:
    assert show.dollars(amount) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0.42, "0.4s"),
        (59, "59s"),
        (200, "3m 20s"),
        (18120, "5h 2m"),
        (356400, "4d 3h"),
        (-1, "0.0s"),
    ],
)
def test_lengths_of_time(count: float, text: str) -> None:
    assert show.seconds(count) == text


def test_fields_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show.fields(
        {
            "size_bytes": 223583420,
            "dollars": 4e-06,
            "name": "a\x1b[2Jb\n",
            "outcomes": {"failed": 2000},
            "samples": ["x", "y"],
            "request": {"source": "data://.my/x", "verify": False},
            "failure": {
                "code": "c",
                "message": "No.",
                "hint": "Use if_exists='skip'.",
                "act": "us",
            },
        }
    )
    assert capsys.readouterr().out.splitlines() == [
        "size_bytes  213 MiB",
        "dollars     $0.000004",
        r"name        a\x1b[2Jb\n",
        "outcomes    failed 2,000",
        "samples     x, y",
        "request     source data://.my/x, verify no",
        "failure     No. Use --if-exists skip. [c]",
    ]


def test_every_sum_of_money_is_written_as_money(capsys: pytest.CaptureFixture[str]) -> None:
    show.fields({"dollars": 7.2e-08, "month_dollars": 7.2e-08})
    assert capsys.readouterr().out.count("$0.000000072") == 2


def test_a_bucket_that_was_made_is_shown_as_bucket_show_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket = {"name": "one-bucket", "type": "allPrivate", "revision": 2, "lock": True}
    show.answer(Session(), BucketResult(action="create", status="created", buckets=[bucket]))
    said = capsys.readouterr().out
    assert said.splitlines()[:2] == ["status       created", "bucket       one-bucket (private)"]
    assert "{" not in said


def test_a_check_is_a_table_and_warns_of_a_key_that_makes_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show._checked(
        CheckResult(
            account="default",
            key_id="K1",
            capabilities=["writeKeys", "writeFiles"],
            cannot={"delete": ["deleteFiles"]},
        )
    )
    said = capsys.readouterr()
    assert "delete     no   deleteFiles" in said.out
    assert "upload     yes" in said.out
    assert "can make other keys" in said.err
