"""Models are built when they are first used, by whoever comes first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from b2jobs.model import Model


class Plain(Model):
    number: int = 0


class Nested(Model):
    plain: Plain
    name: str


# Before pydantic 2.14, threads that built a model at once validated with half of it.
def test_threads_that_use_a_model_for_the_first_time_get_the_same() -> None:
    assert not Nested.__pydantic_complete__
    together = threading.Barrier(8)

    def use(number: int) -> Nested:
        together.wait()
        return Nested.model_validate({"plain": {"number": number}, "name": str(number)})

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(use, range(8)))

    assert [each.plain.number for each in made] == list(range(8))
    assert Nested.__pydantic_complete__
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Nested.model_validate({"plain": {"other": 1}, "name": "x"})
    with pytest.raises(ValidationError, match="frozen"):
        made[0].name = "y"
