"""One sync of a pair at a time: who holds it, and what the next one does."""

from __future__ import annotations

from hashlib import sha256

from b2jobs.records import Records
from b2jobs.requests import Sync

_KEEP_SECONDS = 30 * 86_400


def hold(records: Records, job_id: str, request: Sync) -> str:
    """Take the pair for *job_id*, or keep it; returns the id of the job that has it now."""
    sides = [request.account, request.source, request.destination]
    if request.source_account is not None:
        sides.append(request.source_account)
    name = "\n".join(sides)
    pair = sha256(name.encode()).hexdigest()[:32]
    return str(records.door.call("fleet/hold_pair", pair=pair, id=job_id, keep=_KEEP_SECONDS))
