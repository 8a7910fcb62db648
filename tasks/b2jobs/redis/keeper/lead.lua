#!lua flags=allow-oom
-- Show that a worker lives; take or keep the keepers' lead. Who leads says how long jobs are kept.
-- Arguments: token, lead (seconds), worker, results, failures and staged (seconds they are kept),
--   staged_most and staged_all (bytes producers may hand over, for one job and for all).
-- Answer: 1 for who leads, else 0.
-- Full Redis: allows it.
-- include shared/job
redis.call('ZADD', P .. 'workers', seconds(NOW), given.worker)
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', seconds(NOW - 120))
local holder = redis.call('GET', P .. 'keeper')
if holder and holder ~= given.token then return 0 end
redis.call('SET', P .. 'keeper', given.token, 'PX', math.floor(given.lead * 1000))
redis.call('HSET', P .. 'retention', 'results', given.results, 'failures', given.failures,
           'staged', given.staged, 'staged_most', given.staged_most, 'staged_all', given.staged_all)
return 1
