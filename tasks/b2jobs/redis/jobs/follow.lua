#!lua
-- Let a Celery task have the result of the job that has its key already.
-- Arguments: first (the job's id), id (the task's).
-- Answer: nothing where the job goes on: `finish` tells the follower. Else Celery's result of
--   the job, as it is stored, and for how many seconds: then `jobs/tell` is due.
-- Full Redis: refuses it; the message that led to it stays where it is.
-- include shared/job
local key = ROOT .. 'celery-task-meta-' .. given.first
local meta = redis.call('GET', key)
if meta then return {meta, redis.call('TTL', key)} end
redis.call('SADD', P .. 'followers:' .. given.first, given.id)
return {}
