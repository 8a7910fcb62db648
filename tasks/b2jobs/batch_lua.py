"""What producers do to a batch in Redis: pause, resume, retry, feed.

Keys of a batch, behind the prefix and `b2jobs:`

    batch:ID          hash: cursor, counters, flags, where spilled parts of the ledger are
    batch:ID:packs    sorted set of the packs under way by their number
    batch:ID:ledger   hash: pack number -> its outcomes, gzip of JSON lines
    batch:ID:feed     hash: number of a chunk of submitted items -> gzip of JSON lines
    pack:PACK         the items of a pack under way
    outcomes:PACK     hash: position -> outcome of a finished item of a pack under way
    strays:PACK       what outdated owners of the pack made

A pack is the job `ID.p000123`. All of them expire with the batch's record.
"""

from __future__ import annotations

from b2jobs.lua import LIBRARY

BATCH_LIBRARY = (
    LIBRARY
    + """
local function batch_key(id) return P .. 'batch:' .. id end

-- Let a planner look again: at once if it waits for that, else when it has come to rest.
local function wake(id, reason)
  local state, why = field(id, 'state'), field(id, 'reason')
  if state == 'waiting' and (why == 'window' or why == reason) then
    leave(id)
    enqueue(id, true)
  elseif state == 'running' or state == 'queued' then
    redis.call('HSET', job_key(id), 'wake', '1')
  end
end

-- Ring for the packs that wait: those that are paused, or all.
local function wake_packs(id, reason)
  for _, pack in ipairs(redis.call('ZRANGE', batch_key(id) .. ':packs', 0, -1)) do
    if field(pack, 'state') == 'waiting' and (reason == '' or field(pack, 'reason') == reason) then
      leave(pack)
      enqueue(pack, false)
    end
  end
end

local function keys_of(id)
  local key = batch_key(id)
  return {key, key .. ':packs', key .. ':ledger', key .. ':feed'}
end
"""
)

# ARGV: id. Answers the state of the batch's job, empty where there is none.
PAUSE = (
    BATCH_LIBRARY
    + """
local id = ARGV[1]
local state = field(id, 'state')
if state == '' or state == 'succeeded' or state == 'failed' or state == 'cancelled' then
  return state
end
redis.call('HSET', batch_key(id), 'paused', '1')
wake(id, 'paused')
return state
"""
)

RESUME = (
    BATCH_LIBRARY
    + """
local id = ARGV[1]
local state = field(id, 'state')
if state == '' or redis.call('HDEL', batch_key(id), 'paused') == 0 then return state end
wake_packs(id, 'paused')
wake(id, 'paused')
return field(id, 'state')
"""
)

# ARGV: id, what to run again as JSON: {"codes": [...]} or {} for all that is not done.
RETRY = (
    BATCH_LIBRARY
    + """
local id = ARGV[1]
local state = field(id, 'state')
if state ~= 'succeeded' and state ~= 'failed' and state ~= 'cancelled' then return state end
leave(id)
redis.call('PERSIST', job_key(id))
for _, key in ipairs(keys_of(id)) do redis.call('PERSIST', key) end
-- A batch that was cancelled before its first visit has nothing to run again: it begins.
if redis.call('EXISTS', batch_key(id)) == 1 then
  redis.call('HSET', batch_key(id), 'again', ARGV[2], 'only_failed', '')
end
redis.call('HDEL', batch_key(id), 'broken', 'ended', 'paused')
redis.call('HDEL', job_key(id), 'failure', 'result', 'ended', 'started', 'cancel', 'progress',
           'wake')
redis.call('HSET', job_key(id), 'lost', 0, 'expires', '')
redis.call('DEL', ROOT .. 'celery-task-meta-' .. id)
local key = field(id, 'key')
if key ~= '' then redis.call('SET', P .. 'key:' .. key, id) end
enqueue(id, false)
return 'queued'
"""
)

# ARGV: id of the job that is fed, most chunks that may wait, number of the chunk, the chunk or
# nothing at the end. Answers fed, full, or the state of a job that has ended.
FEED = (
    BATCH_LIBRARY
    + """
local id, number = ARGV[1], ARGV[3]
local state = field(id, 'state')
if state == '' or state == 'succeeded' or state == 'failed' or state == 'cancelled' then
  return state == '' and 'unknown' or state
end
local key = batch_key(id)
if ARGV[4] == '' then
  redis.call('HSET', key, 'fed_all', number, 'fed_at', seconds(NOW))
else
  if redis.call('HLEN', key .. ':feed') >= tonumber(ARGV[2]) then return 'full' end
  redis.call('HSET', key .. ':feed', number, ARGV[4])
  redis.call('HSET', key, 'fed_at', seconds(NOW))
end
wake(id, 'window')
return 'fed'
"""
)
