#!lua flags=allow-oom
-- The pack waits until its batch is resumed; queued again at once when that has happened.
-- Arguments: pack, fence, batch.
-- Answer: 1, or 0 where it is not ours any more.
-- Full Redis: allows it.
-- include shared/batch
local pack = given.pack
if not owns(pack, given.fence) then return 0 end
let_go(pack)
if standing(given.batch) == 'paused' then
  wait(pack, 'paused', 3600)
  redis.call('HSET', job_key(pack), 'until', '')  -- nobody knows
else
  enqueue(pack, true)
end
return 1
