"""The Lua of the worker's side: claim, beat, journal, end, park, hand back, sweep.

All of it builds on `b2jobs.lua`, which says how a record changes state. A script that acts
for an attempt takes the attempt's fencing number and does nothing when it is outdated.
"""

from __future__ import annotations

from b2jobs import lua

LIBRARY = lua.ALLOW_FULL + lua.LIBRARY

# An owner whose lease ran out owns on until somebody else takes the job; parking and handing
# back clear the fencing number.
_OWNER = """
local function owns(id, fence)
  local state = field(id, 'state')
  return field(id, 'fence') == fence and (state == 'running' or state == 'queued')
end
"""

# ARGV: id, worker, lease seconds, random part of the fencing number, expired failure, its
# Celery meta, seconds to keep it.
CLAIM = (
    LIBRARY
    + """
local id = ARGV[1]
local state = field(id, 'state')
if state ~= 'queued' then return {state == '' and 'unknown' or state} end
local started, expires = field(id, 'started'), field(id, 'expires')
if started == '' and expires ~= '' and NOW > tonumber(expires) then
  finish(id, 'failed', 'failure', ARGV[5], ARGV[6], ARGV[7])
  return {'expired'}
end
-- Revoked while no worker of ours heard it: some worker of Celery has left its mark.
local meta = redis.call('GET', ROOT .. 'celery-task-meta-' .. id)
if meta and string.find(meta, '"status": ?"REVOKED"') then
  redis.call('HSET', job_key(id), 'cancel', '1')
end
leave(id)
local attempts = redis.call('HINCRBY', job_key(id), 'attempts', 1)
local fence = attempts .. ':' .. ARGV[4]
if started == '' then
  started = seconds(NOW)
  redis.call('HSET', job_key(id), 'started', started)
end
redis.call('HDEL', job_key(id), 'progress')
redis.call('HSET', job_key(id), 'state', 'running', 'reason', '', 'until', '', 'worker', ARGV[2],
           'fence', fence, 'unheard', 0)
redis.call('ZADD', P .. 'running', seconds(NOW + tonumber(ARGV[3])), id)
return {'claimed', fence, tostring(attempts), field(id, 'kind'), field(id, 'request'),
        seconds(NOW - tonumber(started)), field(id, 'retry'), field(id, 'lost'),
        field(id, 'cancel')}
"""
)

# ARGV: lease seconds, then for each held job id, fence, progress. Answers for each: ok,
# cancel, lost, or gone where Redis has no such job any more. An owner that comes back late,
# but before anybody took its job, goes on with it.
BEAT = (
    LIBRARY
    + _OWNER
    + """
local answers = {}
for i = 2, #ARGV, 3 do
  local id, fence, progress = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local state = field(id, 'state')
  if state == '' then
    table.insert(answers, 'gone')
  elseif not owns(id, fence) then
    table.insert(answers, 'lost')
  else
    if state == 'queued' then
      leave(id)
      redis.call('HSET', job_key(id), 'state', 'running')
      redis.call('HINCRBY', job_key(id), 'lost', -1)
    end
    redis.call('ZADD', P .. 'running', seconds(NOW + tonumber(ARGV[1])), id)
    if progress ~= '' then redis.call('HSET', job_key(id), 'progress', progress) end
    table.insert(answers, field(id, 'cancel') == '1' and 'cancel' or 'ok')
  end
end
return answers
"""
)

# ARGV: id, fence, then names and values. A job that gets on is not what kills its worker.
JOURNAL = (
    LIBRARY
    + _OWNER
    + """
if not owns(ARGV[1], ARGV[2]) then return 0 end
if #ARGV == 2 then
  redis.call('DEL', P .. 'journal:' .. ARGV[1])
else
  redis.call('HSET', P .. 'journal:' .. ARGV[1], unpack(ARGV, 3))
  redis.call('HSET', job_key(ARGV[1]), 'lost', 0)
end
return 1
"""
)

# ARGV: id, fence, state, name of the field, value, Celery meta, seconds to keep. Answers
# whether it was still ours, then the strays that outdated owners left behind.
END = (
    LIBRARY
    + _OWNER
    + """
if not owns(ARGV[1], ARGV[2]) then return {'lost'} end
finish(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
local strays = redis.call('SMEMBERS', P .. 'strays:' .. ARGV[1])
if #strays > 0 then redis.call('DEL', P .. 'strays:' .. ARGV[1]) end
return {'ended', unpack(strays)}
"""
)

# ARGV: id, what the outdated owner made. Answers the state and, when the job has ended, its
# result: then the caller removes what is not in it; else whoever ends the job will.
DISOWN = (
    LIBRARY
    + """
local state = field(ARGV[1], 'state')
if state == 'queued' or state == 'running' or state == 'waiting' then
  redis.call('SADD', P .. 'strays:' .. ARGV[1], ARGV[2])
  redis.call('EXPIRE', P .. 'strays:' .. ARGV[1], 30 * 86400)
end
return {state, field(ARGV[1], 'result')}
"""
)

# ARGV: id, fence, reason, delay in seconds, failure.
PARK = (
    LIBRARY
    + _OWNER
    + """
local id = ARGV[1]
if not owns(id, ARGV[2]) then return 0 end
local due = seconds(NOW + tonumber(ARGV[4]))
leave(id)
redis.call('HSET', job_key(id), 'state', 'waiting', 'reason', ARGV[3], 'until', due,
           'failure', ARGV[5], 'lost', 0, 'fence', '')
redis.call('ZADD', P .. 'waiting', due, id)
return 1
"""
)

# ARGV: id, fence. Another worker goes on at once.
HAND_BACK = (
    LIBRARY
    + _OWNER
    + """
if not owns(ARGV[1], ARGV[2]) then return 0 end
leave(ARGV[1])
redis.call('HSET', job_key(ARGV[1]), 'lost', 0, 'fence', '')
enqueue(ARGV[1], true)
return 1
"""
)

# ARGV: id. A doorbell that was taken but not answered, since the worker is stopping.
RING_AGAIN = (
    LIBRARY
    + """
if field(ARGV[1], 'state') ~= 'queued' then return 0 end
leave(ARGV[1])
enqueue(ARGV[1], true)
return 1
"""
)

# ARGV: token, seconds, worker. Show that the worker lives; take or keep the keeper's lead.
LEAD = (
    LIBRARY
    + """
redis.call('ZADD', P .. 'workers', seconds(NOW), ARGV[3])
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', NOW - 120)
local holder = redis.call('GET', P .. 'keeper')
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', P .. 'keeper', ARGV[1], 'PX', math.floor(tonumber(ARGV[2]) * 1000))
return 1
"""
)

# ARGV: whether leases are judged now, how many jobs at most, seconds to keep what succeeded and
# what failed. Answers how many were lost, due, rung again and dropped.
SWEEP = (
    LIBRARY
    + """
local most = tonumber(ARGV[2])
local lost, due, rung, dropped = 0, 0, 0, 0
if ARGV[1] == '1' then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'running', '-inf', NOW, 'LIMIT', 0, most)) do
    lost = lost + 1
    leave(id)
    if redis.call('EXISTS', job_key(id)) == 1 then
      redis.call('HINCRBY', job_key(id), 'lost', 1)
      enqueue(id, true)
    end
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'waiting', '-inf', NOW, 'LIMIT', 0, most)) do
  due = due + 1
  leave(id)
  if redis.call('EXISTS', job_key(id)) == 1 then enqueue(id, false) end
end
for priority, queue in pairs(QUEUES) do
  local shelf_key = P .. 'queued:' .. priority
  local bell = NOW
  if redis.call('LLEN', ROOT .. queue) > 0 then bell = next_bell(queue) or 0 end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', shelf_key, '-inf', bell - 5, 'LIMIT', 0, most)) do
    if redis.call('EXISTS', job_key(id)) == 0 then
      redis.call('ZREM', shelf_key, id)
    else
      local unheard = math.min(tonumber(field(id, 'unheard')) or 0, 5)
      if NOW - tonumber(redis.call('ZSCORE', shelf_key, id)) > 5 * 2 ^ unheard then
        rung = rung + 1
        redis.call('HINCRBY', job_key(id), 'unheard', 1)
        enqueue(id, false)
      end
    end
  end
end
for state, keep in pairs({succeeded = ARGV[3], cancelled = ARGV[3], failed = ARGV[4]}) do
  dropped = dropped + redis.call('ZREMRANGEBYSCORE', P .. state, '-inf', NOW - tonumber(keep))
end
return {lost, due, rung, dropped}
"""
)

# ARGV: queue, how many messages to look at. Move the b2jobs messages of another
# application's queue into ours; leave the others where they are. kombu keeps a list for each
# of four priorities, told apart by the bytes 6 and 22 and the priority.
FORWARD = (
    LIBRARY
    + """
local moved = 0
local most = tonumber(ARGV[2])
for _, step in ipairs({'', '3', '6', '9'}) do
  local suffix = step == '' and '' or '\\6\\22' .. step
  local from, into = ROOT .. ARGV[1] .. suffix, ROOT .. QUEUES.normal .. suffix
  local newest = redis.call('LRANGE', from, 0, most - 1)
  local oldest = redis.call('LRANGE', from, -most, -1)
  for _, part in ipairs({oldest, newest}) do
    for i = #part, 1, -1 do
      local is_ours = string.match(part[i], '"task": ?"b2jobs%.%a+"')
      if is_ours and redis.call('LREM', from, -1, part[i]) > 0 then
        redis.call('LPUSH', into, part[i])
        moved = moved + 1
      end
    end
  end
end
return moved
"""
)
