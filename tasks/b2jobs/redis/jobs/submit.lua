#!lua
-- A new job, unless its key or its id has one already.
-- Arguments: id, kind, priority, request (JSON), retry (seconds), delay (seconds, 0: none);
--   key, expires (seconds), tell (shared/outbox), producer, signature and trace where it has them; staged
--   (id) and staged_bytes where its producer handed over bytes.
-- Answer: the id of the job that has the key, or this one's; nothing where the staged bytes are
--   not there, or are another job's; `limit_reached`, whose and how many where too many wait.
-- Full Redis: refuses it.
-- include shared/job
local id = given.id
local function is_there(first)
  if given.staged then drop_unclaimed(given.staged) end
  return first
end

if given.key then
  local first = redis.call('GET', P .. 'key:' .. given.key)
  if first and redis.call('EXISTS', job_key(first)) == 1 then return is_there(first) end
end
if redis.call('EXISTS', job_key(id)) == 1 then return is_there(id) end
local name, most = limit_of(given.priority, given.producer)
if name then return {'limit_reached', name, most} end
if given.staged and not claim_staged(id, given.staged, given.staged_bytes) then return false end
create(id, given)
count_open(id, 1)
if given.key then redis.call('SET', P .. 'key:' .. given.key, id) end
event(id, given.kind, 'submitted', {priority = given.priority})
count('submitted|' .. given.kind, 1)
if given.delay > 0 then wait(id, 'window', given.delay) else enqueue(id, false) end
return id
