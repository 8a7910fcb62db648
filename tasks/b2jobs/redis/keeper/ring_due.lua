#!lua flags=allow-oom
-- Queue the jobs whose waiting time is over.
-- Arguments: most.
-- Answer: how many there were; as many as *most* means that there may be more.
-- Full Redis: allows it.
-- include shared/job
local due = redis.call('ZRANGEBYSCORE', P .. 'waiting', '-inf', seconds(NOW), 'LIMIT', 0, given.most)
for _, id in ipairs(due) do
  if redis.call('EXISTS', job_key(id)) == 0 then
    redis.call('ZREM', P .. 'waiting', id)
  elseif is_sound(id, P .. 'waiting') then
    enqueue(id, false)
  end
end
return #due
