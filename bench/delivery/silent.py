"""`bench.delivery.nothing` with scripts that tell nobody anything; see `bench.delivery.telling`."""

from __future__ import annotations

from bench.delivery.telling import silent_text

from b2jobs.redis import door

door.script_text = silent_text  # type: ignore[assignment]

from bench.delivery.nothing import app

__all__ = ["app"]
