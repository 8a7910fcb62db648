"""What a producer feeds arrives whole, also when it comes between two looks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from b2jobs.errors import CallerError
from b2jobs.ledger import packed_rows
from b2jobs.manifest import Row
from b2jobs_worker.batch.plan.feed import FeedPlan
from b2jobs_worker.batch.proof.verify import fed_chunks

ROW = Row(1, "upload", "data://r/a", "b2://some-bucket/a").packed()


class LateBooks:
    """The chunk comes, and the producer ends, right behind the first look for it."""

    def __init__(self, *, comes: bool = True) -> None:
        self._comes = comes
        self._looks = 0

    def chunk(self, batch: str, number: int) -> bytes | None:
        self._looks += 1
        return packed_rows([ROW]) if self._comes and number == 0 and self._looks > 1 else None

    def state(self, attempt: Any) -> dict[str, str]:
        return {"fed_all": "1"}

    def forget_chunks(self, batch: str, numbers: Any) -> None:
        pass


def attempt() -> Any:
    return SimpleNamespace(job_id="job", number=1, checkpoint=lambda: None)


def test_a_chunk_that_comes_between_two_looks_is_planned() -> None:
    assert len(list(FeedPlan(attempt(), LateBooks()).items(""))) == 1  # type: ignore[arg-type]


def test_a_chunk_that_comes_between_two_looks_is_verified() -> None:
    assert len(list(fed_chunks(LateBooks(), attempt()))) == 1  # type: ignore[arg-type]


def test_a_chunk_that_never_comes_is_an_error() -> None:
    books: Any = LateBooks(comes=False)
    with pytest.raises(CallerError, match="Chunk 0 of 1"):
        list(FeedPlan(attempt(), books).items(""))
    with pytest.raises(CallerError, match="did not all arrive"):
        list(fed_chunks(books, attempt()))
