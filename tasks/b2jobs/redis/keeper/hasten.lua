#!lua flags=allow-oom
-- Make jobs due that wait for *reason*.
-- Arguments: ids, reason.
-- Answer: how many there were.
-- Full Redis: allows it.
-- include shared/job
local hastened = 0
for _, id in ipairs(given.ids) do
  local found = redis.call('HMGET', job_key(id), 'state', 'reason')
  if found[1] == 'waiting' and found[2] == given.reason then
    redis.call('ZADD', P .. 'waiting', 0, id)
    hastened = hastened + 1
  end
end
return hastened
