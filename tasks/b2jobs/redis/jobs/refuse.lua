#!lua
-- Record a job that can never succeed as failed, unless it has a record.
-- Arguments: id, kind, request (JSON), failure (JSON), meta, and tell (shared/outbox) where
--   somebody is told.
-- Answer: 1, or 0 where there was a record.
-- Full Redis: refuses it; the message that led to it stays where it is.
-- include shared/job
local id = given.id
if redis.call('EXISTS', job_key(id)) == 1 then return 0 end
local job = {kind = given.kind, priority = 'normal', request = given.request, retry = 0,
             tell = given.tell}
create_waiting(id, job, 'window', 0)  -- for no time: it ends in the same step
finish(id, 'failed', given, 'refused')
return 1
