#!lua flags=allow-oom
-- Go on with a paused batch.
-- Arguments: id, perhaps max_cost (dollars as text), the new one.
-- Where more packs wait than one call may wake, the planner wakes those behind `resumed`.
-- Answer: the state of the batch's job after the call, empty where there is none.
-- Full Redis: allows it: a batch that was accepted comes to its end.
-- include shared/batch
local id = given.id
local state = field(id, 'state')
if given.max_cost and is_open(state) then
  redis.call('HSET', batch_key(id), 'max_cost', given.max_cost)
end
if state == '' or redis.call('HDEL', batch_key(id), 'paused') == 0 then return state end
redis.call('HDEL', batch_key(id), 'over')
event(id, field(id, 'kind'), 'resumed')
local behind = wake_packs(id, 'paused', -1)
if behind ~= '' then redis.call('HSET', batch_key(id), 'resumed', behind) end
wake(id, 'paused')
return field(id, 'state')
