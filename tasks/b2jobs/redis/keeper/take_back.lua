#!lua flags=allow-oom
-- Queue the jobs whose lease ran out, in front.
-- Arguments: most.
-- Answer: how many there were; as many as *most* means that there may be more.
-- Full Redis: allows it.
-- include shared/job
local lost = redis.call('ZRANGEBYSCORE', P .. 'running', '-inf', seconds(NOW), 'LIMIT', 0, given.most)
for _, id in ipairs(lost) do
  if redis.call('EXISTS', job_key(id)) == 0 then
    redis.call('ZREM', P .. 'running', id)
  elseif is_sound(id, P .. 'running') then
    local losses = redis.call('HINCRBY', job_key(id), 'lost', 1)
    count('lost', 1)
    event(id, field(id, 'kind'), 'lost', {losses = losses, worker = field(id, 'worker')})
    enqueue(id, true)
  end
end
return #lost
