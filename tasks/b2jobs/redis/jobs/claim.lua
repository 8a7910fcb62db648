#!lua flags=allow-oom
-- Take a queued job.
-- Arguments: id, worker, lease (seconds), random (part of the fencing number), longest (bytes of a
--   request); failure (JSON), meta and keep for a job that has expired, which is left alone without.
-- Answer: the state it is in, or `unknown`, or `expired`; or `claimed`, fence, attempt, kind,
--   request (empty where it is longer than any that was accepted), seconds since its first start
--   without those it has waited for its budget,
--   retry, losses, cancel, priority, key, signature, 1 where that is used up, the job's place in
--   a trace, since when it was not run, and what it waited for.
-- Full Redis: allows it.
-- include shared/job
local id = given.id
if redis.call('EXISTS', job_key(id)) == 1 and not is_sound(id, P .. 'queued:normal') then
  return {'broken'}
end
local job = fields(id, {'state', 'started', 'expires', 'kind', 'lost', 'again', 'created', 'retry',
                        'cancel', 'priority', 'key', 'signature', 'excused', 'since', 'awaited'})
if job.state ~= 'queued' then return {job.state == '' and 'unknown' or job.state} end
local started, kind = job.started, job.kind
if started == '' and job.expires ~= '' and NOW > (tonumber(job.expires) or 0) then
  if given.failure then finish(id, 'failed', given) end
  return {'expired'}
end
-- Revoked while no worker of ours heard it: some worker of Celery has left its mark.
local result = redis.call('GET', ROOT .. 'celery-task-meta-' .. id)
if result and string.find(result, '"status": ?"REVOKED"') then
  redis.call('HSET', job_key(id), 'cancel', '1')
  job.cancel = '1'
end
local is_first = started == ''
if is_first then started = seconds(NOW) end
local attempts = redis.call('HINCRBY', job_key(id), 'attempts', 1)
local fence = attempts .. ':' .. given.random
if not is_first then redis.call('HDEL', job_key(id), 'progress') end
shift(id, job, 'running', seconds(NOW + given.lease), 'started', started, 'worker', given.worker,
      'fence', fence, 'unheard', 0)
local since, awaited = job.since, job.awaited
if since ~= '' then redis.call('HDEL', job_key(id), 'since', 'awaited') end
if is_first and not UNTOLD[kind] then
  local asked = job.again ~= '' and job.again or job.created
  if since == '' then since, awaited = asked, 'queued' end
  observe('wait|' .. kind, NOW - (tonumber(asked) or NOW))
end
local trace = redis.call('HSTRLEN', job_key(id), 'trace') <= 64 and field(id, 'trace') or ''
-- A planner leaves its slot and takes it again many times a minute: its batch goes on meanwhile.
if is_first or job.lost ~= '0' or (kind ~= 'batch' and kind ~= 'sync') then
  event(id, kind, 'started', {attempt = attempts, losses = tonumber(job.lost), worker = given.worker})
end
local request = redis.call('HSTRLEN', job_key(id), 'request') <= given.longest
  and field(id, 'request') or ''
local token = token_of(job.signature)
return {'claimed', fence, tostring(attempts), kind, request,
        seconds(math.max(0, NOW - (tonumber(started) or NOW) - (tonumber(job.excused) or 0))),
        job.retry, job.lost, job.cancel, job.priority, job.key, job.signature,
        token and redis.call('ZSCORE', P .. 'used', token) and 1 or 0, trace, since, awaited}
