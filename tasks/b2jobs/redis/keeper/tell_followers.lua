#!lua flags=allow-oom
-- Go on telling those that share the result of a job: it had more of them than one call may tell.
-- Arguments: most.
-- Answer: how many were told; as many as *most* means that there may be more.
-- Full Redis: allows it: they wait for it.
-- include shared/job
local told = 0
for _, id in ipairs(redis.call('SRANDMEMBER', P .. 'untold', 10)) do
  local key = ROOT .. 'celery-task-meta-' .. id
  local text = has_ended(field(id, 'state')) and redis.call('GET', key)
  if text then  -- without the id, as `tell` puts it there
    local meta = '{' .. string.sub(text, #('{"task_id": ' .. cjson.encode(id) .. ', ') + 1)
    told = told + tell_followers(id, meta, math.max(1, redis.call('TTL', key)), given.most - told)
  end
  if not text or redis.call('EXISTS', P .. 'followers:' .. id) == 0 then
    redis.call('SREM', P .. 'untold', id)  -- those of one that runs again are told of its next end
  end
  if told >= given.most then break end
end
return told
