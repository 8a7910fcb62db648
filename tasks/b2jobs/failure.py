"""Why a job failed, as data: errors cross Redis like this, never as pickles."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Act = Literal["caller", "operator", "nobody", "us"]


class Failure(BaseModel):
    """Why a job failed, as it stands in the record and in the Celery result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str
    hint: str = ""
    act: Act
    attempts: int = 0

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.message}{hint} [{self.code}]"
