#!lua flags=allow-oom
-- Begin no more items of a batch.
-- Arguments: id.
-- Answer: the state of the batch's job, empty where there is none.
-- Full Redis: allows it.
-- include shared/batch
local state = field(given.id, 'state')
if not is_open(state) then return state end
if redis.call('HSET', batch_key(given.id), 'paused', '1') == 1 then
  event(given.id, field(given.id, 'kind'), 'paused')
end
wake(given.id, 'paused')
return state
