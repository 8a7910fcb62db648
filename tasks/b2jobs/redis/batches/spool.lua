#!lua flags=allow-oom
-- Keep the plan of a sync, in place of what is there.
-- Arguments: id, fence, keep (seconds). Bytes: its chunks.
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it: a sync that was accepted comes to its end, and its plan is a megabyte.
-- include shared/job
if not owns(given.id, given.fence) then return 0 end
local key = P .. 'sync-plan:' .. given.id
redis.call('UNLINK', key)
for n = 2, #ARGV do redis.call('RPUSH', key, ARGV[n]) end
redis.call('EXPIRE', key, given.keep)
return 1
