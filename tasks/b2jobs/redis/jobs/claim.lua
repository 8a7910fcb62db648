#!lua flags=allow-oom
-- Take a queued job.
-- Arguments: id, worker, lease (seconds), random (part of the fencing number), longest (bytes of a
--   request); failure (JSON), meta and keep for a job that has expired.
-- Answer: the state it is in, or `unknown`, or `expired`; or `claimed`, fence, attempt, kind,
--   request (empty where it is longer than any that was accepted), seconds since its first start
--   without those it has waited for its budget,
--   retry, losses, cancel, priority, key, signature, 1 where that is used up, the job's place in
--   a trace, and where it has one, since when it was not run and what it waited for.
-- Full Redis: allows it.
-- include shared/job
local id = given.id
local is_there = redis.call('EXISTS', job_key(id)) == 1
if is_there and not is_sound(id, P .. 'queued:normal') then return {'broken'} end
local state = field(id, 'state')
if state ~= 'queued' then return {state == '' and 'unknown' or state} end
local started, expires = field(id, 'started'), field(id, 'expires')
if started == '' and expires ~= '' and NOW > (tonumber(expires) or 0) then
  finish(id, 'failed', given)
  return {'expired'}
end
-- Revoked while no worker of ours heard it: some worker of Celery has left its mark.
local result = redis.call('GET', ROOT .. 'celery-task-meta-' .. id)
if result and string.find(result, '"status": ?"REVOKED"') then
  redis.call('HSET', job_key(id), 'cancel', '1')
end
local is_first = started == ''
if is_first then started = seconds(NOW) end
local attempts = redis.call('HINCRBY', job_key(id), 'attempts', 1)
local fence = attempts .. ':' .. given.random
redis.call('HDEL', job_key(id), 'progress')
move(id, 'running', seconds(NOW + given.lease), 'started', started, 'worker', given.worker,
     'fence', fence, 'unheard', 0)
local kind, losses = field(id, 'kind'), field(id, 'lost')
local since, awaited = '', ''
if is_first and not UNTOLD[kind] then
  local asked = redis.call('HMGET', job_key(id), 'again', 'created')
  since, awaited = asked[1] or asked[2] or '', 'queued'
  observe('wait|' .. kind, NOW - (tonumber(since) or NOW))
end
local trace = redis.call('HSTRLEN', job_key(id), 'trace') <= 64 and field(id, 'trace') or ''
if trace ~= '' and field(id, 'since') ~= '' then
  since, awaited = field(id, 'since'), field(id, 'awaited')
  redis.call('HDEL', job_key(id), 'since', 'awaited')
end
-- A planner leaves its slot and takes it again many times a minute: its batch goes on meanwhile.
if is_first or losses ~= '0' or (kind ~= 'batch' and kind ~= 'sync') then
  event(id, kind, 'started', {attempt = attempts, losses = tonumber(losses), worker = given.worker})
end
local request = redis.call('HSTRLEN', job_key(id), 'request') <= given.longest
  and field(id, 'request') or ''
local token = token_of(id)
return {'claimed', fence, tostring(attempts), kind, request,
        seconds(math.max(0, NOW - (tonumber(started) or NOW) - (tonumber(field(id, 'excused')) or 0))), field(id, 'retry'), losses,
        field(id, 'cancel'), field(id, 'priority'), field(id, 'key'), field(id, 'signature'),
        token and redis.call('ZSCORE', P .. 'used', token) and 1 or 0, trace, since, awaited}
