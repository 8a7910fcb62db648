#!lua flags=allow-oom
-- Ring again for queued jobs whose bell vanished: those that are rung 5 s before the bell that
-- is taken next, each after twice the time the one before took.
-- Arguments: most.
-- Answer: how many were rung; as many as *most* means that there may be more.
-- Full Redis: allows it.
-- include shared/job
local rung = 0
for priority, queue in pairs(QUEUES) do
  local queued = P .. 'queued:' .. priority
  local bell = NOW
  if redis.call('LLEN', ROOT .. queue) > 0 then bell = next_bell(queue) or 0 end
  local found = redis.call('ZRANGEBYSCORE', queued, '-inf', seconds(bell - 5), 'WITHSCORES',
                           'LIMIT', 0, 4 * given.most)
  for i = 1, #found, 2 do
    if rung == given.most then return rung end
    local id, since = found[i], tonumber(found[i + 1])
    local known = redis.call('EXISTS', job_key(id)) == 1 and is_sound(id, queued)
      and redis.call('HMGET', job_key(id), 'state', 'unheard') or {}
    if not known[1] then
      redis.call('ZREM', queued, id)
    elseif NOW - since > 5 * 2 ^ math.min(tonumber(known[2] or 0), 5) then
      rung = rung + 1
      redis.call('HINCRBY', job_key(id), 'unheard', 1)
      enqueue(id, false)
    end
  end
end
return rung
