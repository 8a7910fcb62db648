#!lua flags=allow-oom
-- Go on with a paused batch.
-- Arguments: id.
-- Answer: the state of the batch's job after the call, empty where there is none.
-- Full Redis: allows it: a batch that was accepted comes to its end.
-- include shared/batch
local id = given.id
local state = field(id, 'state')
if state == '' or redis.call('HDEL', batch_key(id), 'paused') == 0 then return state end
event(id, field(id, 'kind'), 'resumed')
wake_packs(id, 'paused')
wake(id, 'paused')
return field(id, 'state')
