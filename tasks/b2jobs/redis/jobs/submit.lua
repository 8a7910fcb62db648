#!lua
-- A new job, unless its key or its id has one already.
-- Arguments: id, kind, priority, request (JSON), retry (seconds), delay (seconds, 0: none);
--   key, expires (seconds) and signature where it has them.
-- Answer: the id of the job that has the key, or this one's.
-- Full Redis: refuses it.
-- include shared/job
local id = given.id
if given.key then
  local first = redis.call('GET', P .. 'key:' .. given.key)
  if first and redis.call('EXISTS', job_key(first)) == 1 then return first end
end
if redis.call('EXISTS', job_key(id)) == 1 then return id end
create(id, given)
if given.key then redis.call('SET', P .. 'key:' .. given.key, id) end
if given.delay > 0 then wait(id, 'window', given.delay) else enqueue(id, false) end
return id
