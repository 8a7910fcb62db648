#!lua flags=allow-oom
-- The planner leaves its slot; it is queued again at once if something has happened meanwhile.
-- Arguments: id, fence, reason, delay (seconds), low (packs under way at which to look again),
-- perhaps failure (JSON: what it waits for).
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it.
-- include shared/batch
local id = given.id
if not owns(id, given.fence) then return 0 end
local key = batch_key(id)
redis.call('HSET', key, 'low', given.low)
let_go(id)
redis.call('HSET', job_key(id), 'attempts', 1)
if (given.failure or '') == '' then redis.call('HDEL', job_key(id), 'failure')
else redis.call('HSET', job_key(id), 'failure', given.failure) end
local woken = redis.call('HDEL', job_key(id), 'wake') == 1
local few = redis.call('ZCARD', key .. ':packs') <= given.low
if woken or (given.reason == 'window' and few) then
  enqueue(id, true)
else
  wait(id, given.reason, given.delay)
end
return 1
