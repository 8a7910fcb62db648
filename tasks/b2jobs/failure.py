"""Why a job failed, as data: errors cross Redis like this, never as pickles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from b2jobs.model import Model
from b2jobs.printable import printable

Act = Literal["caller", "operator", "nobody", "us"]
_Said = Annotated[str, AfterValidator(printable)]


class Failure(Model):
    """Why a job failed, as it stands in the record and in the Celery result.

    Names that others chose stand in it: what is not seen of them is written as escapes.
    """

    code: _Said
    message: _Said
    hint: _Said = ""
    act: Act
    attempts: int = 0

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.message}{hint} [{self.code}]"
