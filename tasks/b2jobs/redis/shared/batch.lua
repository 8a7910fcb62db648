-- What scripts of batches and packs share. A pack is the job `ID.p000123`.
-- include shared/job

local function batch_key(id) return P .. 'batch:' .. id end

local function keys_of(id)
  local key = batch_key(id)
  return {key, key .. ':packs', key .. ':ledger', key .. ':feed'}
end

-- Let a planner look again: at once if it waits for that, else when it has come to rest.
local function wake(id, reason)
  local found = redis.call('HMGET', job_key(id), 'state', 'reason')
  local state, why = found[1], found[2]
  if state == 'waiting' and (why == 'window' or why == reason) then
    enqueue(id, true)
  elseif state == 'running' or state == 'queued' then
    redis.call('HSET', job_key(id), 'wake', '1')
  end
end

-- Ring for the packs that wait, for *reason* or all: a hundred at a time, those behind the
-- number *after*. Answers the number to go on from, empty where these were all.
local MOST_WOKEN = 100
local function wake_packs(id, reason, after)
  local packs = redis.call('ZRANGEBYSCORE', batch_key(id) .. ':packs', '(' .. after, '+inf',
                           'WITHSCORES', 'LIMIT', 0, MOST_WOKEN)
  for i = 1, #packs, 2 do
    local found = redis.call('HMGET', job_key(packs[i]), 'state', 'reason')
    if found[1] == 'waiting' and (not reason or found[2] == reason) then
      enqueue(packs[i], false)
    end
  end
  return #packs == 2 * MOST_WOKEN and packs[#packs] or ''
end

-- Begin no more items of a batch; *why* is a code, where it was not asked for.
local function pause(id, why)
  if why then redis.call('HSET', batch_key(id), 'over', why) end
  if redis.call('HSET', batch_key(id), 'paused', '1') == 1 then
    event(id, field(id, 'kind'), 'paused', why and {code = why} or nil)
  end
end

-- Add what calls of B2 have cost to what the batch has used. One that has used more than it may
-- is paused.
local function add_cost(id, calls, dollars)
  local key = batch_key(id)
  for name, count in pairs(calls) do redis.call('HINCRBY', key, 'calls_' .. name, count) end
  if dollars == '0' then return end
  local used = tonumber(redis.call('HINCRBYFLOAT', key, 'dollars', dollars))
  local found = redis.call('HMGET', key, 'max_cost', 'paused')
  local most = tonumber(found[1] or '')
  if most and used > most + 1e-12 and not found[2] then
    pause(id, 'max_cost_reached')
    wake(id, 'window')
  end
end

-- Put a chunk where the job that waits for it looks, unless *most* lie there.
local function hand_over(id, number, chunk, most)
  local feed = batch_key(id) .. ':feed'
  if redis.call('HLEN', feed) >= most then return 'full' end
  redis.call('HSET', feed, number, chunk)
  return 'fed'
end

-- What a pack must know of its batch now.
local function standing(batch)
  local state = field(batch, 'state')
  if state == '' or state == 'cancelled' or field(batch, 'cancel') == '1' then return 'cancel' end
  if redis.call('HGET', batch_key(batch), 'paused') == '1' then return 'paused' end
  return 'ok'
end

-- How far a batch is, for whoever follows it.
local STATUSES = {'transferred', 'unchanged', 'deleted', 'hidden', 'failed', 'cancelled'}
local function tell_progress(batch)
  if not may_tell(batch, 'progress') then return end
  local names = {'planned', 'moved_bytes'}
  for _, status in ipairs(STATUSES) do table.insert(names, 'n:' .. status) end
  local found = redis.call('HMGET', batch_key(batch), unpack(names))
  local outcomes, finished = {}, 0
  for n, status in ipairs(STATUSES) do
    local count = tonumber(found[n + 2] or 0)
    if count > 0 then outcomes[status] = count end
    finished = finished + count
  end
  event(batch, field(batch, 'kind'), 'progress', {
    items = tonumber(found[1] or 0), finished = finished, bytes = tonumber(found[2] or 0),
    outcomes = outcomes})
end

-- Nothing of the pack remains but what its batch has written down.
local function forget_pack(batch, pack)
  leave(pack)
  use_up(field(pack, 'signature'))
  redis.call('UNLINK', job_key(pack), P .. 'pack:' .. pack, P .. 'outcomes:' .. pack,
             P .. 'journal:' .. pack, P .. 'strays:' .. pack,
             ROOT .. 'celery-task-meta-' .. pack)
  redis.call('ZREM', batch_key(batch) .. ':packs', pack)
end
