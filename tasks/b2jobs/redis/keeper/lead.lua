#!lua flags=allow-oom
-- Show that a worker lives; take or keep the keepers' lead. Who leads says what is kept how long.
-- Arguments: token, lead (seconds), worker, about (JSON: what the worker says of itself), amounts
--   ({name: amount}: what it used since it last said so), results and failures (seconds they are
--   kept), events (how many are kept), numbers (seconds those of a minute are kept), staged (seconds that the
--   bytes of failed jobs are kept), staged_most and staged_all (bytes that producers may hand
--   over, with one job and with all), limits ({whose: how many jobs may wait}).
-- Answer: 1 for who leads, else 0.
-- Full Redis: allows it.
-- include shared/job
redis.call('ZADD', P .. 'workers', seconds(NOW), given.worker)
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', seconds(NOW - 3600))
if given.about then redis.call('SET', P .. 'worker:' .. given.worker, given.about, 'EX', 120) end
for name, amount in pairs(given.amounts or {}) do count(name, amount) end
local holder = redis.call('GET', P .. 'keeper')
if holder and holder ~= given.token then return 0 end
redis.call('SET', P .. 'keeper', given.token, 'PX', math.floor(given.lead * 1000))
redis.call('HSET', P .. 'retention', 'results', given.results, 'failures', given.failures)
if given.events then redis.call('HSET', P .. 'retention', 'events', given.events) end
if given.numbers then redis.call('HSET', P .. 'retention', 'numbers', given.numbers) end
if given.staged then
  redis.call('HSET', P .. 'retention', 'staged', given.staged, 'staged_most', given.staged_most,
             'staged_all', given.staged_all)
end
redis.call('DEL', P .. 'limits')
for name, most in pairs(given.limits or {}) do redis.call('HSET', P .. 'limits', name, most) end
return 1
