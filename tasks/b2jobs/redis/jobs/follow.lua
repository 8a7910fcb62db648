#!lua
-- Let a Celery task have the result of the job that has its key already.
-- Arguments: first (the job's id), id (the task's), and tell (shared/outbox) where somebody is
--   told of the task.
-- Answer: nothing where the job goes on: `finish` tells the follower. Else Celery's result of
--   the job, as it is stored, and for how many seconds: then `jobs/tell` is due.
-- Full Redis: refuses it; the message that led to it stays where it is.
-- include shared/job
if given.tell then redis.call('SET', P .. 'follower:' .. given.id, given.tell, 'EX', 30 * DAY) end
local key = ROOT .. 'celery-task-meta-' .. given.first
local meta = redis.call('GET', key)
if meta then
  local found = redis.call('HMGET', job_key(given.first), 'kind', 'state', 'result', 'failure')
  if has_ended(found[2]) then tell_follower(given.id, unpack(found)) end
  return {meta, redis.call('TTL', key)}
end
redis.call('SADD', P .. 'followers:' .. given.first, given.id)
redis.call('EXPIRE', P .. 'followers:' .. given.first, 30 * DAY)
return {}
