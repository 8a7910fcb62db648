#!lua flags=allow-oom
-- Take a sync's pair, or keep it. Nothing limits the hold but its owner's end, looked up here.
-- Arguments: pair, id, keep (seconds).
-- Answer: the id of the job that has the pair now.
-- Full Redis: allows it: a sync that was accepted comes to its end.
-- include shared/job
local key = P .. 'pair:' .. given.pair
local owner = redis.call('GET', key)
if owner and owner ~= given.id and is_open(field(owner, 'state')) then return owner end
redis.call('SET', key, given.id, 'EX', given.keep)
return given.id
