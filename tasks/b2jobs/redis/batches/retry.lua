#!lua
-- Run a batch that has ended again.
-- Arguments: id, again (what of it, as JSON); signature, where it is signed anew.
-- Answer: the state after the call, empty where there is no such job.
-- Full Redis: refuses it, as it does new jobs.
-- include shared/batch
local id = given.id
local state = field(id, 'state')
if not has_ended(state) then return state end
for _, key in ipairs(keys_of(id)) do redis.call('PERSIST', key) end
-- A batch that was cancelled before its first step has nothing to run again: it begins.
if redis.call('EXISTS', batch_key(id)) == 1 then
  redis.call('HSET', batch_key(id), 'again', given.again, 'only_failed', '')
end
redis.call('HDEL', batch_key(id), 'broken', 'ended', 'paused', 'over')
reopen(id)
return 'queued'
