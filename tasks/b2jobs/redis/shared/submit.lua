-- A new job, unless its key or its id has one already.
-- *job*: id, kind, priority, request (JSON), retry (seconds), delay (seconds, 0: none); key, expires
--   (seconds), tell (shared/outbox), children (for Celery), producer, signature and trace where it has
--   them; staged (id) and staged_bytes where its producer handed over bytes.
-- Answers the id of the job that has the key, or this one's; nothing where the staged bytes are
--   not there, or are another job's; `limit_reached`, whose and how many where too many wait.
-- include shared/job
local function submit(job)
  local id = job.id
  local function is_there(first)
    if job.staged then drop_unclaimed(job.staged) end
    return first
  end

  if job.key then
    local first = redis.call('GET', P .. 'key:' .. job.key)
    if first and redis.call('EXISTS', job_key(first)) == 1 then return is_there(first) end
  end
  if redis.call('EXISTS', job_key(id)) == 1 then return is_there(id) end
  local name, most = limit_of(job.priority, job.producer)
  if name then return {'limit_reached', name, most} end
  if job.staged and not claim_staged(id, job.staged, job.staged_bytes) then return false end
  if job.delay > 0 then
    create_waiting(id, job, 'window', job.delay)
  else
    create_queued(id, job)
  end
  count_open(job.producer or '', 1)
  if job.key then redis.call('SET', P .. 'key:' .. job.key, id) end
  event(id, job.kind, 'submitted', {priority = job.priority})
  count('submitted|' .. job.kind, 1)
  return id
end

