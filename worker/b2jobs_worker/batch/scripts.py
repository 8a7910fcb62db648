"""The Lua of planners and packs. Each acts under a lease and does nothing when it is outdated."""

from __future__ import annotations

from b2jobs.batch_lua import BATCH_LIBRARY

_OWNER = """
local function owns(id, fence)
  return field(id, 'state') == 'running' and field(id, 'fence') == fence
end
"""

# ARGV: batch, fence, then names and values for its hash.
NOTE = (
    BATCH_LIBRARY
    + _OWNER
    + """
if not owns(ARGV[1], ARGV[2]) then return 0 end
redis.call('HSET', batch_key(ARGV[1]), unpack(ARGV, 3))
return 1
"""
)

# One step of the plan: new packs, the cursor behind them, and packs that are closed or
# segments that are rewritten on the way. ARGV: batch, fence, how many names and values to set,
# those; how many counters to add, their names and amounts; how many segments, their numbers
# and bytes (empty: none left); how many packs are closed, their ids; the fields of a pack's
# record (priority, retry); then for each new pack its number, id, request and items.
PLAN = (
    BATCH_LIBRARY
    + _OWNER
    + """
local id = ARGV[1]
if not owns(id, ARGV[2]) then return 0 end
local at = 3
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local key = batch_key(id)
for _ = 1, tonumber(take()) do
  local name, value = take(), take()
  redis.call('HSET', key, name, value)
end
for _ = 1, tonumber(take()) do
  local name, amount = take(), take()
  redis.call('HINCRBY', key, name, amount)
end
for _ = 1, tonumber(take()) do
  local number, segment = take(), take()
  if segment == '' then redis.call('HDEL', key .. ':ledger', number)
  else redis.call('HSET', key .. ':ledger', number, segment) end
end
for _ = 1, tonumber(take()) do
  local pack = take()
  leave(pack)
  redis.call('DEL', job_key(pack), P .. 'pack:' .. pack, P .. 'outcomes:' .. pack,
             P .. 'journal:' .. pack, P .. 'strays:' .. pack,
             ROOT .. 'celery-task-meta-' .. pack)
  redis.call('ZREM', key .. ':packs', pack)
end
local priority, retry = take(), take()
while at <= #ARGV do
  local number, pack, request, items = take(), take(), take(), take()
  redis.call('SET', P .. 'pack:' .. pack, items)
  redis.call('HSET', job_key(pack), 'id', pack, 'kind', 'pack', 'priority', priority, 'key', '',
             'request', request, 'retry', retry, 'expires', '', 'created', seconds(NOW),
             'attempts', 0, 'fence', 0, 'lost', 0)
  enqueue(pack, false)
  redis.call('ZADD', key .. ':packs', number, pack)
end
redis.call('HSET', job_key(id), 'lost', 0)
return 1
"""
)

# ARGV: batch, fence, reason, delay in seconds, packs under way at which to look again. The
# planner leaves its slot; it is queued again at once if something has happened meanwhile.
REST = (
    BATCH_LIBRARY
    + _OWNER
    + """
local id, reason = ARGV[1], ARGV[3]
if not owns(id, ARGV[2]) then return 0 end
local key = batch_key(id)
redis.call('HSET', key, 'low', ARGV[5])
leave(id)
redis.call('HSET', job_key(id), 'lost', 0, 'attempts', 1)
local woken = redis.call('HDEL', job_key(id), 'wake') == 1
local few = redis.call('ZCARD', key .. ':packs') <= tonumber(ARGV[5])
if woken or (reason == 'window' and few) then
  enqueue(id, true)
else
  local due = seconds(NOW + tonumber(ARGV[4]))
  redis.call('HSET', job_key(id), 'state', 'waiting', 'reason', reason, 'until', due)
  redis.call('ZADD', P .. 'waiting', due, id)
end
return 1
"""
)

# ARGV: batch. Ring for all its packs that wait, so that they learn of a cancellation.
WAKE_PACKS = BATCH_LIBRARY + "wake_packs(ARGV[1], '')"

# ARGV: batch, fence, state, name of the field, value, Celery meta, seconds to keep, summary,
# callback's queue, callback's message. The end of the batch and its callback are one step.
END = (
    BATCH_LIBRARY
    + _OWNER
    + """
local id = ARGV[1]
if not owns(id, ARGV[2]) then return 0 end
finish(id, ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
redis.call('HSET', job_key(id), 'result', ARGV[8])
redis.call('HSET', batch_key(id), 'ended', seconds(NOW))
redis.call('HDEL', batch_key(id), 'again')
redis.call('DEL', batch_key(id) .. ':feed')
for _, key in ipairs(keys_of(id)) do redis.call('EXPIRE', key, math.ceil(tonumber(ARGV[7]))) end
if ARGV[9] ~= '' then redis.call('LPUSH', ROOT .. ARGV[9], ARGV[10]) end
return 1
"""
)

# What a pack must know of its batch now. ARGV: pack, batch.
_STANDING = """
local function standing(batch)
  local state = field(batch, 'state')
  if state == '' or state == 'cancelled' or field(batch, 'cancel') == '1' then return 'cancel' end
  if redis.call('HGET', batch_key(batch), 'paused') == '1' then return 'paused' end
  return 'ok'
end
"""

# ARGV: pack, fence, batch, calls a, b, c, dollars; then for each outcome its position, line,
# status, code and moved bytes. A status `again` is a note, not an outcome. An outcome that is
# there already is neither written nor counted again. Answers how the batch stands.
RECORD = (
    BATCH_LIBRARY
    + _OWNER
    + _STANDING
    + """
local pack, batch = ARGV[1], ARGV[3]
if not owns(pack, ARGV[2]) then return 'lost' end
local outcomes, key = P .. 'outcomes:' .. pack, batch_key(batch)
local counts = {}
local function count(name, amount) counts[name] = (counts[name] or 0) + amount end
for i = 8, #ARGV, 5 do
  local position, line, status, code = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if status == 'again' then
    redis.call('HSET', outcomes, 't' .. position, line)
  elseif redis.call('HSETNX', outcomes, position, line) == 1 then
    redis.call('HDEL', outcomes, 't' .. position)
    count('n:' .. status, 1)
    count('moved_bytes', tonumber(ARGV[i + 4]))
    if code ~= '' then count('code:' .. code, 1) end
  end
end
for name, amount in pairs(counts) do
  redis.call('HINCRBY', key, name, string.format('%.0f', amount))
end
if next(counts) then redis.call('HSET', job_key(pack), 'lost', 0) end
for n, name in ipairs({'calls_a', 'calls_b', 'calls_c'}) do
  if ARGV[3 + n] ~= '0' then redis.call('HINCRBY', key, name, ARGV[3 + n]) end
end
if ARGV[7] ~= '0' then redis.call('HINCRBYFLOAT', key, 'dollars', ARGV[7]) end
return standing(batch)
"""
)

# ARGV: pack, fence, batch, number, segment. The pack's end and its place in the ledger are one
# step, and nothing else of it remains. Answers the strays of outdated owners.
SEAL = (
    BATCH_LIBRARY
    + _OWNER
    + """
local pack, batch = ARGV[1], ARGV[3]
if not owns(pack, ARGV[2]) then return {'lost'} end
local key = batch_key(batch)
local strays = redis.call('SMEMBERS', P .. 'strays:' .. pack)
if redis.call('EXISTS', key) == 1 then
  redis.call('HSET', key .. ':ledger', ARGV[4], ARGV[5])
  redis.call('HINCRBY', key, 'ledger_bytes', #ARGV[5])
end
leave(pack)
redis.call('DEL', job_key(pack), P .. 'pack:' .. pack, P .. 'outcomes:' .. pack,
           P .. 'journal:' .. pack, P .. 'strays:' .. pack)
redis.call('ZREM', key .. ':packs', pack)
local low = tonumber(redis.call('HGET', key, 'low') or '0')
if redis.call('ZCARD', key .. ':packs') <= low then wake(batch, 'window') end
return {'sealed', unpack(strays)}
"""
)

# ARGV: pack, fence, batch. The pack waits until its batch is resumed; queued again at once
# when that has happened meanwhile.
PAUSE_PACK = (
    BATCH_LIBRARY
    + _OWNER
    + _STANDING
    + """
local pack = ARGV[1]
if not owns(pack, ARGV[2]) then return 0 end
leave(pack)
redis.call('HSET', job_key(pack), 'lost', 0)
if standing(ARGV[3]) == 'paused' then
  local due = seconds(NOW + 3600)
  redis.call('HSET', job_key(pack), 'state', 'waiting', 'reason', 'paused', 'until', '')
  redis.call('ZADD', P .. 'waiting', due, pack)
else
  enqueue(pack, true)
end
return 1
"""
)

# ARGV: pack, batch, number, then positions and what an outdated owner made there. Answers for
# each the outcome that counts, `left` when the present owner will see to it, or `sealed`.
DISOWN = (
    BATCH_LIBRARY
    + """
local pack = ARGV[1]
local answers = {}
local lives = redis.call('EXISTS', job_key(pack)) == 1
for i = 4, #ARGV, 2 do
  local line = redis.call('HGET', P .. 'outcomes:' .. pack, ARGV[i])
  if line then table.insert(answers, line)
  elseif lives then
    redis.call('SADD', P .. 'strays:' .. pack, ARGV[i] .. ' ' .. ARGV[i + 1])
    redis.call('EXPIRE', P .. 'strays:' .. pack, 30 * 86400)
    table.insert(answers, 'left')
  else table.insert(answers, 'sealed') end
end
return answers
"""
)
