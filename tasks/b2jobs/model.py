"""What requests, results and settings are made of: a model that is built when it is first used."""

from __future__ import annotations

import threading
from typing import Any

from pydantic import BaseModel, ConfigDict

_building = threading.RLock()


class Model(BaseModel):
    """Immutable; unknown fields are refused.

    Building what validates all of them takes pydantic a third of the time in which a worker
    starts, and most processes use one or two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """As pydantic's, one thread at a time: before 2.14 two that use a model for the first
        time build it at once, and one may validate with the other's half."""
        with _building:
            return super().model_rebuild(**{**options, "_parent_namespace_depth": 0})
