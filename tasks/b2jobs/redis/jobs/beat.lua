#!lua flags=allow-oom
-- Renew leases. An owner that comes back late, but before anybody took its job, goes on with it.
-- Arguments: lease (seconds), held: [{id, fence, progress}].
-- Answer: for each ok, cancel, lost, or gone where Redis has no such job any more.
-- Full Redis: allows it.
-- include shared/job
local answers = {}
for _, held in ipairs(given.held) do
  local id = held.id
  local job = fields(id, {'state', 'fence', 'cancel'})
  local state = job.state
  local ends = seconds(NOW + given.lease)
  if state == '' then
    table.insert(answers, 'gone')
  elseif not is_owner(job, held.fence) then
    table.insert(answers, 'lost')
  else
    if state == 'queued' then
      move(id, 'running', ends)
      redis.call('HINCRBY', job_key(id), 'lost', -1)
      event(id, field(id, 'kind'), 'regained')
    else
      redis.call('ZADD', P .. 'running', ends, id)
    end
    if held.progress ~= '' then redis.call('HSET', job_key(id), 'progress', held.progress) end
    table.insert(answers, job.cancel == '1' and 'cancel' or 'ok')
  end
end
return answers
