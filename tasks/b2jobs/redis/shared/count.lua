-- Numbers of the whole fleet, a hash a minute of Redis's clock: what happened how often. All its
-- names are of a few words each (docs/numbers.md), so it has some dozens of fields, whatever the
-- number of jobs. Counting is never in the way of what is counted.
local MOST_NAMES = 4000
local BOUNDS = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200}  -- b2jobs/numbers.py has them too

local numbers = P .. 'numbers:' .. math.floor(NOW / 60)
local function count(name, amount)
  if redis.pcall('HINCRBY', numbers, name, amount) ~= amount then return end
  -- The first of its name.
  if redis.pcall('HLEN', numbers) == 1 then
    local kept = tonumber(redis.call('HGET', P .. 'retention', 'numbers') or 14 * 24 * 3600)
    redis.pcall('EXPIRE', numbers, math.ceil(kept))
  elseif redis.pcall('HLEN', numbers) > MOST_NAMES then
    redis.pcall('HDEL', numbers, name)
  end
end

-- Seconds that something took: how many took so long, and how long all of them.
local function observe(name, seconds)
  seconds = math.max(seconds, 0)
  local bucket = #BOUNDS + 1
  for n, bound in ipairs(BOUNDS) do
    if seconds <= bound then bucket = n break end
  end
  count(name .. '|' .. bucket, 1)
  count(name .. '|ms', math.floor(seconds * 1000))
end

