#!lua flags=allow-oom
-- Take jobs that ended long ago from the lists of ended jobs; Redis expires the rest of them.
-- Arguments: most, results and failures (seconds they are kept).
-- Answer: how many there were; as many as *most* means that there may be more.
-- Full Redis: allows it, since it frees memory.
-- include shared/job
local dropped = 0
local kept = {succeeded = given.results, cancelled = given.results, failed = given.failures}
for state, keep in pairs(kept) do
  local old = redis.call('ZCOUNT', P .. state, '-inf', seconds(NOW - keep))
  local count = math.min(old, given.most - dropped)
  if count > 0 then redis.call('ZREMRANGEBYRANK', P .. state, 0, count - 1) end
  dropped = dropped + count
end
redis.call('ZREMRANGEBYSCORE', P .. 'used', '-inf', seconds(NOW))
return dropped
