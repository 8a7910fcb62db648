-- Bytes that producers hand over, in pieces under a key of their own. They are nobody's while they
-- are written, then a job's until it ends.

local UNCLAIMED_SECONDS = 600  -- since the last piece: then their producer is dead
local LOOK_SECONDS = 3600      -- whether the job that has them still goes on

local function staged_key(staged) return P .. 'staged:' .. staged end

local function drop_staged(staged)
  local size = redis.call('HGET', P .. 'staged', staged)
  if size and redis.call('DECRBY', P .. 'staged_bytes', size) <= 0 then
    redis.call('DEL', P .. 'staged_bytes')
  end
  redis.call('HDEL', P .. 'staged', staged)
  redis.call('ZREM', P .. 'staging', staged)
  redis.call('UNLINK', staged_key(staged))
end

local function drop_unclaimed(staged)
  if redis.call('HGET', staged_key(staged), 'job') == '' then drop_staged(staged) end
end

local function look_later(staged, delay)
  redis.call('ZADD', P .. 'staging', seconds(NOW + delay), staged)
end

-- Make *size* staged bytes the job's. Whether all of them are there, and nobody else's.
local function claim_staged(id, staged, size)
  local key = staged_key(staged)
  if redis.call('HGET', key, 'job') ~= '' then return false end
  if tonumber(redis.call('HGET', P .. 'staged', staged) or -1) ~= size then return false end
  redis.call('HSET', key, 'job', id)
  redis.call('PERSIST', key)
  redis.call('HSET', job_key(id), 'staged', staged, 'staged_bytes', size)
  look_later(staged, LOOK_SECONDS)
  return true
end

local function keep_for(owner, staged)
  redis.call('HSET', staged_key(staged), 'job', owner)
  redis.call('PERSIST', staged_key(staged))
  look_later(staged, LOOK_SECONDS)
end

local function kept_staged_seconds()
  return tonumber(redis.call('HGET', P .. 'retention', 'staged') or 0)
end

-- A job that ended needs them no more, but for one that failed where the workers' settings say so.
local function end_staged(staged, state)
  if staged == '' then return end
  local keep = kept_staged_seconds()
  if state == 'failed' and keep > 0 then look_later(staged, keep) else drop_staged(staged) end
end

-- Whether a job that is to run again has all it needs; it keeps it.
local function keep_staged(id)
  local staged = field(id, 'staged')
  if staged == '' then return true end
  if redis.call('HGET', staged_key(staged), 'job') ~= id then return false end
  look_later(staged, LOOK_SECONDS)
  return true
end

-- Drop what dead producers left, and what ended jobs were allowed to keep. Answers how many were
-- looked at.
local function sweep_staged(most)
  local due = redis.call('ZRANGEBYSCORE', P .. 'staging', '-inf', seconds(NOW), 'LIMIT', 0, most)
  for _, staged in ipairs(due) do
    local id = redis.call('HGET', staged_key(staged), 'job') or ''
    local rest = 0
    if id ~= '' and field(id, 'kind') ~= 'upload' then  -- lines fail before their batch ends
      rest = (tonumber(field(id, 'ended')) or 0) + kept_staged_seconds() - NOW
    end
    if id ~= '' and is_open(field(id, 'state')) then
      look_later(staged, LOOK_SECONDS)
    elseif rest > 0 then
      look_later(staged, rest)
    else
      drop_staged(staged)
    end
  end
  return #due
end

