#!lua flags=allow-oom
-- Take jobs that ended long ago from the lists of ended jobs; Redis expires the rest of them.
-- What is kept shorter than others is looked at once when that time is over: the record of one
-- that is gone by then leaves the list, another stays until the longest time is over.
-- Arguments: most, results and failures (seconds they are kept).
-- Answer: how many were looked at; as many as *most* means that there may be more.
-- Full Redis: allows it, since it frees memory.
-- include shared/job
redis.call('ZREMRANGEBYSCORE', P .. 'batches', '-inf', seconds(NOW))
local looked = 0
local short = NOW - math.min(given.results, given.failures) - 2  -- records expire in whole seconds
local long = NOW - math.max(given.results, given.failures) - 2
for _, state in ipairs({'succeeded', 'cancelled', 'failed'}) do
  local list = P .. state
  local old = math.min(redis.call('ZCOUNT', list, '-inf', seconds(long)), given.most - looked)
  if old > 0 then redis.call('ZREMRANGEBYRANK', list, 0, old - 1) end
  looked = looked + old
  local behind = redis.call('HGET', P .. 'retention', 'looked:' .. state) or '0'
  local found = redis.call('ZRANGEBYSCORE', list, '(' .. behind, seconds(short), 'WITHSCORES',
                           'LIMIT', 0, given.most - looked)
  for i = 1, #found, 2 do
    if redis.call('EXISTS', job_key(found[i])) == 0 then redis.call('ZREM', list, found[i]) end
  end
  if #found > 0 then
    redis.call('HSET', P .. 'retention', 'looked:' .. state, found[#found])
    looked = looked + #found / 2
  end
end
redis.call('ZREMRANGEBYSCORE', P .. 'used', '-inf', seconds(NOW))
return looked
