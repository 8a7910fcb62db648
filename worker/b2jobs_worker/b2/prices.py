"""What B2 charges, as of one date. A user's own table replaces it (`[prices]` in the config).

Source: https://www.backblaze.com/cloud-storage/transaction-pricing, read 2026-11.
The free allowance (2,500 calls a day of class B and of class C, egress up to three times
what is stored) belongs to the account and not to a job, so it is not subtracted.
"""

from __future__ import annotations

from pydantic import Field

from b2jobs.model import Model


class Prices(Model):
    """US dollars for a thousand calls of each class, and for storage."""

    as_of: str = "2026-11-01"
    class_a_per_thousand: float = Field(0.0, ge=0)
    class_b_per_thousand: float = Field(0.0004, ge=0)
    class_c_per_thousand: float = Field(0.004, ge=0)
    storage_per_gb_month: float = Field(0.006, ge=0)

    def dollars(self, calls: dict[str, int]) -> float:
        """What *calls* (by class: a, b, c) cost beyond the free allowance."""
        return (
            calls.get("a", 0) * self.class_a_per_thousand
            + calls.get("b", 0) * self.class_b_per_thousand
            + calls.get("c", 0) * self.class_c_per_thousand
        ) / 1000

    def of_one(self, call_class: str) -> float:
        """What one call of *call_class* costs, as `dollars`."""
        if call_class == "a":
            return self.class_a_per_thousand / 1000
        return (
            self.class_b_per_thousand if call_class == "b" else self.class_c_per_thousand
        ) / 1000

    def month_dollars(self, size_bytes: int) -> float:
        """What *size_bytes* cost a month, a gigabyte being a thousand million bytes."""
        return round(size_bytes / 1e9 * self.storage_per_gb_month, 9)
