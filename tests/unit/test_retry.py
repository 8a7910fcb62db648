"""What becomes of a job after an attempt failed: a pure decision, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs.errors import CallerError, JobError, OperatorError, PassingError, Wait
from b2jobs_worker.delivery.retry import LONGEST_BACKOFF_SECONDS, Again, End, decide

OUTAGE = PassingError("b2_unavailable", "503")
LIMITED = PassingError("rate_limited", "429", wait=Wait("rate_limited", 30))
CAP = PassingError("transaction_cap", "403", wait=Wait("cap", 3600))
WRONG_KEY = OperatorError("credentials_invalid", "401", wait=Wait("credentials"))
MISSING = CallerError("source_missing", "404")


@pytest.mark.parametrize(
    ("error", "attempt", "elapsed", "budget", "jitter", "decision"),
    [
        (MISSING, 1, 0, 86_400, 0.5, End()),
        (OUTAGE, 1, 0, 86_400, 0.5, Again(0.5, "backoff")),
        (OUTAGE, 1, 0, 86_400, 1.0, Again(1.0, "backoff")),
        (OUTAGE, 2, 0, 86_400, 1.0, Again(2.0, "backoff")),
        (OUTAGE, 5, 0, 86_400, 1.0, Again(16.0, "backoff")),
        (OUTAGE, 10, 0, 86_400, 1.0, Again(300.0, "backoff")),
        (OUTAGE, 10_000, 0, 86_400, 1.0, Again(300.0, "backoff")),
        (OUTAGE, 3, 0, 0, 1.0, End()),
        (OUTAGE, 3, 97, 100, 1.0, End()),
        (OUTAGE, 3, 96, 100, 1.0, Again(4.0, "backoff")),
        (LIMITED, 1, 0, 86_400, 0.0, Again(30.0, "rate_limited")),
        (LIMITED, 9, 0, 86_400, 1.0, Again(33.0, "rate_limited")),
        (LIMITED, 1, 80, 100, 0.0, End()),
        (WRONG_KEY, 1, 0, 86_400, 1.0, Again(1.0, "credentials")),
        (WRONG_KEY, 10_000, 0, 86_400, 1.0, Again(30.0, "credentials")),
        (WRONG_KEY, 3, 97, 100, 1.0, End()),
        (CAP, 1, 0, 86_400, 0.0, Again(3600.0, "cap")),
    ],
)
def test_decisions(
    error: JobError,
    attempt: int,
    elapsed: float,
    budget: float,
    jitter: float,
    decision: Again | End,
) -> None:
    assert (
        decide(
            error,
            attempt=attempt,
            elapsed_seconds=elapsed,
            budget_seconds=budget,
            jitter=lambda: jitter,
        )
        == decision
    )


@given(
    attempt=st.integers(1, 10**9),
    elapsed=st.floats(0, 1e7),
    budget=st.floats(0, 1e7),
    jitter=st.floats(0, 1),
)
def test_a_wait_is_bounded_and_never_ends_behind_the_budget(
    attempt: int, elapsed: float, budget: float, jitter: float
) -> None:
    decision = decide(
        OUTAGE,
        attempt=attempt,
        elapsed_seconds=elapsed,
        budget_seconds=budget,
        jitter=lambda: jitter,
    )
    if isinstance(decision, Again):
        assert 0 <= decision.delay_seconds <= LONGEST_BACKOFF_SECONDS
        assert elapsed + decision.delay_seconds <= budget


def test_what_waits_for_its_budget_does_so_beyond_its_own_time() -> None:
    error = PassingError("budget_spent", "", wait=Wait("budget", 80_000.0))
    found = decide(
        error, attempt=1, elapsed_seconds=86_000, budget_seconds=86_400, jitter=lambda: 1.0
    )
    assert found == Again(80_060.0, "budget")  # a minute at the most behind midnight
