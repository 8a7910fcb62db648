"""One sync of a pair at a time: who holds it, and what the next one does."""

from __future__ import annotations

from hashlib import sha256

from b2jobs.lua import LIBRARY
from b2jobs.records import Records, unavailable
from b2jobs.requests import Sync

_KEEP_SECONDS = 30 * 86_400

# ARGV: key, id, seconds. Answers who holds the pair: a job that has not ended, or this one.
# No time limits the hold but its owner's end, which is looked up.
_HOLD = (
    LIBRARY
    + """
local key, id = P .. ARGV[1], ARGV[2]
local owner = redis.call('GET', key)
if owner and owner ~= id then
  local state = field(owner, 'state')
  if state == 'queued' or state == 'running' or state == 'waiting' then return owner end
end
redis.call('SET', key, id, 'EX', ARGV[3])
return id
"""
)


def hold(records: Records, job_id: str, request: Sync) -> str:
    """Take the pair for *job_id*, or keep it; returns the id of the job that has it now."""
    name = "\n".join((request.account, request.source, request.destination))
    script = records.redis.register_script(_HOLD)
    with unavailable(records.url):
        return str(
            script(
                keys=[records.root],
                args=[f"pair:{sha256(name.encode()).hexdigest()[:32]}", job_id, _KEEP_SECONDS],
            )
        )
