"""Whether a batch was told to stop or to pause by somebody whom its workers heed."""

from __future__ import annotations

from typing import cast

from b2jobs.commands import is_heeded
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.redis.values import number


class Steering:
    """What stands in Redis about one batch, believed where signatures are required.

    producer: who asked for the batch. A pause because of its cost is nobody's command: it is
    believed where the counted cost says so.
    """

    def __init__(self, records: Records, batch: str, producer: str) -> None:
        self._records = records
        self._batch = batch
        self._producer = producer

    def heeded(self, standing: str) -> str:
        """*standing* as a script has it (`ok`, `paused`, `cancel`, ...), `ok` for what was forged.

        Raises:
            QueueUnavailable
        """
        ring = self._records.ring
        if not ring.required or standing not in ("paused", "cancel"):
            return standing
        redis, prefix = self._records.redis, self._records.prefix
        names = ("state", "signature", "cancel", "cancel_by")
        more = ("paused", "paused_by", "over", "dollars", "estimate", "max_cost")
        with unavailable(self._records.url):
            job = cast("list[str | None]", redis.hmget(f"{prefix}job:{self._batch}", *names))
            batch = cast("list[str | None]", redis.hmget(f"{prefix}batch:{self._batch}", *more))
        state, signature, cancel, cancel_by = (text or "" for text in job)
        paused, paused_by, over, dollars, estimate, most = (text or "" for text in batch)

        def heeds(said: str, act: str) -> bool:
            return is_heeded(ring, said, act, self._batch, signature, self._producer)  # type: ignore[arg-type]  # an Act

        if not state:
            return "cancel"  # its record is gone: nothing of it can be noted
        if (cancel or state == "cancelled") and heeds(cancel_by, "cancel"):
            return "cancel"
        costs = max(number(dollars), number(estimate))
        if paused and ((over and most and costs > number(most)) or heeds(paused_by, "pause")):
            return "paused"
        return "ok"
