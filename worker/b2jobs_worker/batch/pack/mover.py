"""What a pack asks of the work of single jobs, which runs its items."""

from __future__ import annotations

from typing import Any

from b2jobs_worker.work import Work

Mover = Work[Any]
"""What runs one item: the work of a single job of its kind."""
