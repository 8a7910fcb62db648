-- Taking a queued job: by its id, or the one that is next in a queue.
-- include shared/job

-- Take *id* for *owner*: worker, lease (seconds), random (part of the fencing number), longest
-- (bytes of a request); failure (JSON), meta and keep for a job that has expired, which is left
-- alone without. Answers what jobs/claim does.
local function claim(id, owner)
  if redis.call('EXISTS', job_key(id)) == 1 and not is_sound(id, P .. 'queued:normal') then
    return {'broken'}
  end
  local job = fields(id, {'state', 'started', 'expires', 'kind', 'lost', 'again', 'created', 'retry',
                          'cancel', 'priority', 'key', 'signature', 'excused', 'since', 'awaited'})
  if job.state ~= 'queued' then return {job.state == '' and 'unknown' or job.state} end
  local started, kind = job.started, job.kind
  if started == '' and job.expires ~= '' and NOW > (tonumber(job.expires) or 0) then
    if owner.failure then finish(id, 'failed', owner) end
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
  local fence = attempts .. ':' .. owner.random
  if not is_first then redis.call('HDEL', job_key(id), 'progress') end
  shift(id, job, 'running', seconds(NOW + owner.lease), 'started', started, 'worker', owner.worker,
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
    event(id, kind, 'started', {attempt = attempts, losses = tonumber(job.lost), worker = owner.worker})
  end
  local request = redis.call('HSTRLEN', job_key(id), 'request') <= owner.longest
    and field(id, 'request') or ''
  local token = token_of(job.signature)
  return {'claimed', fence, tostring(attempts), kind, request,
          seconds(math.max(0, NOW - (tonumber(started) or NOW) - (tonumber(job.excused) or 0))),
          job.retry, job.lost, job.cancel, job.priority, job.key, job.signature,
          token and redis.call('ZSCORE', P .. 'used', token) and 1 or 0, trace, since, awaited}
end

-- Take what the next doorbell of *queues* rings for, the queues in their order. What else lies in
-- front of one is Celery's to take: then nothing is taken, nor where the kind is none of *kinds*
-- (`,upload,copy,`). Answers its id and what `claim` does, or nothing.
local MOST_BELLS = 16
local function claim_next(queues, kinds, owner)
  for _ = 1, MOST_BELLS do
    local message, queue
    for _, name in ipairs(queues) do
      message, queue = redis.pcall('LINDEX', ROOT .. name, -1), name
      if message then break end
    end
    local headers = type(message) == 'string' and #message < 8192 and headers_of(message)
    if not headers or type(headers.rung) ~= 'string' or type(headers.id) ~= 'string' then return end
    local kind = type(headers.task) == 'string' and string.match(headers.task, '^b2jobs%.([%a_]+)$')
    if not kind or not string.find(kinds, ',' .. kind .. ',', 1, true) then return end
    redis.call('RPOP', ROOT .. queue)
    local found = claim(headers.id, owner)
    if found[1] == 'claimed' or found[1] == 'expired' then return headers.id, found end
  end
end
