"""What an account may use in a day, as the table `[budgets]` of the config file says it.

[budgets.default]
class_b_calls = 2500
class_c_calls = 2500
[budgets."*"]           # each other account
dollars = 1.0
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from b2jobs.model import Model

ANY_ACCOUNT = "*"


class Budget(Model):
    """Most of one account in one day (UTC). What is not named is not limited.

    dollars: at the table of prices, without B2's free allowance, as results say them.
    """

    class_b_calls: Annotated[int, Field(ge=0)] | None = None
    class_c_calls: Annotated[int, Field(ge=0)] | None = None
    dollars: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def limits(self, call_class: str, price_nano: int) -> bool:
        """Whether calls of this class are limited."""
        calls = {"b": self.class_b_calls, "c": self.class_c_calls}.get(call_class)
        return calls is not None or (self.dollars is not None and price_nano > 0)
