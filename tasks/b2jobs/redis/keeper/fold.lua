#!lua flags=allow-oom
-- Add the minutes that are over to the numbers of their hour and day and to those of all time.
-- Arguments: most (minutes to look at).
-- Answer: how many there were; as many as *most* means that there may be more.
-- Full Redis: allows it: days and totals have as many fields as a minute.
-- include shared/job
local total = P .. 'numbers:total'
local this = math.floor(NOW / 60)
local last = math.max(tonumber(redis.call('HGET', total, 'folded') or 0), this - 14 * 1440)
if last == this - 14 * 1440 and redis.call('EXISTS', total) == 0 then last = this - 61 end
local folded = 0
while last < this - 1 and folded < given.most do
  last = last + 1
  folded = folded + 1
  local found = redis.call('HGETALL', P .. 'numbers:' .. last)
  if #found > 0 then
    local day = P .. 'numbers:day:' .. math.floor(last / 1440)
    local hour = P .. 'numbers:hour:' .. math.floor(last / 60)
    for n = 1, #found, 2 do
      redis.call('HINCRBY', hour, found[n], found[n + 1])
      redis.call('HINCRBY', day, found[n], found[n + 1])
      redis.call('HINCRBY', total, found[n], found[n + 1])
    end
    redis.call('EXPIRE', hour, 15 * DAY)
    redis.call('EXPIRE', day, 400 * DAY)
  end
end
redis.call('HSET', total, 'folded', last)
return folded
