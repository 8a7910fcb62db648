#!lua
-- One piece of the bytes that a producer hands over; the same again takes its place.
-- Arguments: id, number (from 0), most (bytes for a job); all (bytes for all jobs together, 0: a
--   share of Redis's memory), left out where the bytes are in Redis already, in a message; raw:
--   the piece.
-- Answer: `ok`; `gone` where they were dropped meanwhile or are a job's by now; `too_large` or
--   `full`, and the limit.
-- Full Redis: refuses it.
-- include shared/job
local UNKNOWN_MEMORY = 1024 * 1024 * 1024  -- where Redis is not limited, or does not say

-- For all jobs: the lower of what producer and workers say, else half of what Redis may have.
local function share(said)
  local own, theirs = given.all, tonumber(said or 0)
  if own > 0 and theirs > 0 then return math.min(own, theirs) end
  if own + theirs > 0 then return own + theirs end
  local info = redis.pcall('INFO', 'memory')
  local memory = type(info) == 'string' and tonumber(string.match(info, 'maxmemory:(%d+)')) or 0
  return memory > 0 and math.floor(memory / 2) or UNKNOWN_MEMORY
end

local id, piece = given.id, ARGV[2]
local key = staged_key(id)
if given.number == 0 then sweep_staged(10) end
local owner = redis.call('HGET', key, 'job')
if owner ~= '' and (owner or given.number > 0) then return {'gone', 0} end
local added = #piece - redis.call('HSTRLEN', key, given.number)
local size = tonumber(redis.call('HGET', P .. 'staged', id) or 0) + added
local said = redis.call('HMGET', P .. 'retention', 'staged_most', 'staged_all')
local most = math.min(given.most, tonumber(said[1] or given.most))
if size > most then return {'too_large', most} end
if given.all then
  local all = share(said[2])
  if tonumber(redis.call('GET', P .. 'staged_bytes') or 0) + added > all then return {'full', all} end
end
redis.call('HSET', key, 'job', '', given.number, piece)
redis.call('EXPIRE', key, UNCLAIMED_SECONDS)
redis.call('HSET', P .. 'staged', id, size)
redis.call('INCRBY', P .. 'staged_bytes', added)
look_later(id, UNCLAIMED_SECONDS)
return {'ok', most}
