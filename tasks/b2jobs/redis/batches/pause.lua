#!lua flags=allow-oom
-- Begin no more items of a batch.
-- Arguments: id, perhaps why (a code, where nobody has asked for it), by (who says so, sealed).
-- Answer: the state of the batch's job, empty where there is none.
-- Full Redis: allows it.
-- include shared/batch
local state = field(given.id, 'state')
if not is_open(state) then return state end
if given.by then redis.call('HSET', batch_key(given.id), 'paused_by', given.by) end
pause(given.id, given.why)
wake(given.id, 'paused')
return state
