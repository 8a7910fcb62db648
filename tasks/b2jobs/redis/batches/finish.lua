#!lua flags=allow-oom
-- The end of a batch.
-- Arguments: id, fence, state, failure (JSON, where it failed), result (JSON: its counters),
--   meta, keep (seconds).
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it.
-- include shared/batch
local id = given.id
if not owns(id, given.fence) then return 0 end
finish(id, given.state, given)
redis.call('HSET', batch_key(id), 'ended', seconds(NOW))
redis.call('HDEL', batch_key(id), 'again')
redis.call('UNLINK', batch_key(id) .. ':feed')
for _, key in ipairs(keys_of(id)) do redis.call('EXPIRE', key, math.ceil(given.keep)) end
return 1
