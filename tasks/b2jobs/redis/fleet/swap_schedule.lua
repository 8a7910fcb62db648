#!lua
-- Store the state of a schedule where it is still what the caller saw.
-- Arguments: name, before (empty: none), after.
-- Answer: 1, or 0 where somebody else was first.
-- Full Redis: refuses it, as it does the jobs of schedules.
-- include shared/job
local key = P .. 'schedule-states'
if (redis.call('HGET', key, given.name) or '') ~= given.before then return 0 end
redis.call('HSET', key, given.name, given.after)
return 1
