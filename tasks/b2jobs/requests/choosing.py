"""Which files take part, for the requests that are about many."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from b2jobs import patterns
from b2jobs.requests.job import Job

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0)]


class Choosing(Job):
    """A request about many files, of which some take part.

    include, exclude: patterns (see `patterns`): a file must match one of the first, if there is
        any, and none of the second.
    min_age, max_age: seconds. A file takes part that was modified at least, or at most, so
        long before the job's first look.
    min_size, max_size: bytes, both inclusive.
    """

    include: list[str] = Field(default_factory=list)
    exclude: list[str] = Field(default_factory=list)
    min_age: Seconds | None = None
    max_age: Seconds | None = None
    min_size: Bytes | None = None
    max_size: Bytes | None = None

    _patterns = field_validator("include", "exclude")(patterns.checked)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name, least, most in (
            ("age", self.min_age, self.max_age),
            ("size", self.min_size, self.max_size),
        ):
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{name} ({least:g}) is more than max_{name} ({most:g})")
        return self

    @property
    def chooses(self) -> bool:
        """Whether anything is said about which files take part."""
        return bool(self.include or self.exclude or self.has_limits)

    @property
    def has_limits(self) -> bool:
        """Whether age or size count."""
        limits = (self.min_age, self.max_age, self.min_size, self.max_size)
        return any(each is not None for each in limits)
