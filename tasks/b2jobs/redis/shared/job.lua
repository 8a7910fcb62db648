-- How a job changes its state: every script that changes one does it with these functions.
--
-- KEYS[1] is the key prefix, ARGV[1] the arguments as one JSON object, ARGV[2] and so on bytes.
-- Time is Redis's own clock, in seconds. `fence` in a record is the fencing number of its
-- owner: the attempt's number and a random part, so that a number is not given twice even when
-- a restart of Redis lost the last second.

local ROOT = KEYS[1]
local P = ROOT .. 'b2jobs:'
local QUEUES = {high = 'b2jobs.high', normal = 'b2jobs', low = 'b2jobs.low'}
local DAY = 24 * 3600

local given = cjson.decode(ARGV[1])

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function seconds(value) return string.format('%.6f', value) end

local function job_key(id) return P .. 'job:' .. id end

local function field(id, name) return redis.call('HGET', job_key(id), name) or '' end

-- Several of them, by name; what is not there is empty.
local function fields(id, names)
  local found = redis.call('HMGET', job_key(id), unpack(names))
  local job = {}
  for n, name in ipairs(names) do job[name] = found[n] or '' end
  return job
end

local function has_ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled'
end

local function is_open(state) return state ~= '' and not has_ended(state) end

-- Whether *fence* is the number of the job's owner. One whose lease ran out owns on until
-- somebody else takes the job; `let_go` ends it.
local function is_owner(job, fence)
  return fence ~= '' and job.fence == fence and (job.state == 'running' or job.state == 'queued')
end

local function owns(id, fence) return is_owner(fields(id, {'fence', 'state'}), fence) end

-- The sorted set that holds a job in a state.
local function shelf(state, priority)
  if state == 'queued' then return P .. 'queued:' .. priority end
  return P .. state
end

-- Take a job from its shelf. Answers its priority and kind.
local function leave(id)
  local found = redis.call('HMGET', job_key(id), 'state', 'priority', 'kind')
  if found[1] then redis.call('ZREM', shelf(found[1], found[2]), id) end
  return found[2], found[3]
end

-- Put a job onto the shelf of *state*, at *score*; what follows are more names and values of the
-- record. Every change of a state ends here, and a new record begins here.
local function put(id, state, priority, score, ...)
  redis.call('HSET', job_key(id), 'state', state, 'reason', '', 'until', '', ...)
  redis.call('ZADD', shelf(state, priority), score, id)
end

-- Take a job from its shelf and `put` it. Answers its priority and kind.
local function move(id, state, score, ...)
  local priority, kind = leave(id)
  put(id, state, priority, score, ...)
  return priority, kind
end

-- The same where the state and priority it has are known: they are in *job*.
local function shift(id, job, state, score, ...)
  if job.state ~= '' then redis.call('ZREM', shelf(job.state, job.priority), id) end
  put(id, state, job.priority, score, ...)
end

-- Where batches and syncs are found: those that are open stand first, the latest in front; then
-- those that ended, by the time until which they are kept.
local OPEN = 1e12
local function list_batch(id, kind, score)
  if kind == 'batch' or kind == 'sync' then redis.call('ZADD', P .. 'batches', seconds(score), id) end
end

-- Tell whoever follows what happens to jobs: one entry in a stream of which the latest are kept.
-- Parts of a batch are not told one by one. An event is never in the way of what it tells: where
-- the stream cannot be written (not permitted, another type) it is passed over.
local UNTOLD = {pack = true, ledger = true}
local most_events
local function event(id, kind, name, more)
  if UNTOLD[kind] then return end
  if not most_events then
    most_events = tonumber(redis.call('HGET', P .. 'retention', 'events') or 100000)
  end
  if most_events == 0 then return end
  redis.pcall('XADD', P .. 'events', 'MAXLEN', '~', most_events, '*', 'event', name, 'job', id,
              'kind', kind, 'more', more and cjson.encode(more) or '')
end

-- include shared/count
-- Whether a batch may tell *name* of its parts now: once a second at most.
local function may_tell(batch, name)
  local key = P .. 'batch:' .. batch
  local told = tonumber(redis.call('HGET', key, 'told:' .. name) or 0)
  if NOW - told < 1 or redis.call('EXISTS', key) == 0 then return false end
  redis.call('HSET', key, 'told:' .. name, seconds(NOW))
  return true
end

local function code_of(failure)
  if not failure then return nil end
  local is_json, found = pcall(cjson.decode, failure)
  return is_json and type(found) == 'table' and found.code or nil
end

-- A new record, on the shelf of *state*. *job*: kind, priority, request, retry, and perhaps key,
-- expires (seconds from now), tell (see shared/outbox), children (for Celery), signature
-- (b2jobs/signing.py) and trace (b2jobs/tracing.py).
local function create(id, job, state, score, ...)
  local values = {'id', id, 'kind', job.kind, 'priority', job.priority,
                  'key', job.key or '', 'request', job.request, 'retry', job.retry,
                  'expires', job.expires and seconds(NOW + job.expires) or '',
                  'created', seconds(NOW), 'attempts', 0, 'fence', '', 'lost', 0, ...}
  for _, name in ipairs({'tell', 'children', 'signature', 'producer', 'trace'}) do
    if job[name] then
      table.insert(values, name)
      table.insert(values, job[name])
    end
  end
  put(id, state, job.priority, score, unpack(values))
  list_batch(id, job.kind, OPEN + NOW)
end

-- A signature is good for one end of a job: its token is remembered for as long as it is good.
local function token_of(signature) return string.match(signature, '^(%x+) (%d+) ') end

local function use_up(signature)
  local token, good_until = token_of(signature)
  if token then redis.call('ZADD', P .. 'used', good_until, token) end
end

-- How many jobs that have not ended each producer has, where one is named.
local function count_open(producer, by)
  if producer ~= '' and redis.call('HINCRBY', P .. 'open', producer, by) <= 0 then
    redis.call('HDEL', P .. 'open', producer)
  end
end

-- The limit of waiting jobs that a new one would go beyond, and its size; nil for none. The
-- leading keeper writes them down as the policy has them (keeper/lead).
local function limit_of(priority, producer)
  local name = 'producer:' .. (producer or '*')
  local found = redis.call('HMGET', P .. 'limits', 'queue:' .. priority, name, 'producer:*')
  local queue, own = tonumber(found[1] or ''), tonumber(found[2] or '') or tonumber(found[3] or '')
  if queue and redis.call('ZCARD', P .. 'queued:' .. priority) >= queue then
    return 'queue:' .. priority, queue
  end
  if own and tonumber(redis.call('HGET', P .. 'open', producer or '') or 0) >= own then
    return name, own
  end
  return nil
end

-- The owner leaves the job, which is sound: nothing it says later counts.
local function let_go(id) redis.call('HSET', job_key(id), 'fence', '', 'lost', 0) end

-- include shared/staged
local function wait(id, reason, delay)
  local due = seconds(NOW + delay)
  move(id, 'waiting', due, 'reason', reason, 'until', due)
  if redis.call('HEXISTS', job_key(id), 'trace') == 1 then
    redis.call('HSET', job_key(id), 'since', seconds(NOW), 'awaited', reason)
  end
end

-- base64 of [[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]
local BODY = 'W1tdLCB7fSwgeyJjYWxsYmFja3MiOiBudWxsLCAiZXJyYmFja3MiOiBudWxsLCAiY2hhaW4iOiBudWxsLCAi'
  .. 'Y2hvcmQiOiBudWxsfV0='

-- A Celery message (protocol 2, as kombu's Redis transport stores it) without arguments: the
-- record has them. `tests/contract/test_doorbell.py` compares it with one that Celery made.
-- *tag* tells deliveries apart.
local function doorbell(id, kind, queue, rung, tag)
  local quoted = cjson.encode(id)
  return table.concat({
    '{"body": "', BODY, '", "content-encoding": "utf-8", "content-type": "application/json", ',
    '"headers": {"lang": "py", "task": ', cjson.encode('b2jobs.' .. kind), ', "id": ', quoted,
    ', "shadow": null, "eta": null, "expires": null, "group": null, "group_index": null, ',
    '"retries": 0, "timelimit": [null, null], "root_id": ', quoted, ', "parent_id": null, ',
    '"argsrepr": "()", "kwargsrepr": "{}", "origin": "b2jobs", "ignore_result": true, ',
    '"replaced_task_nesting": 0, "stamped_headers": null, "stamps": {}, "rung": "', rung,
    '"}, "properties": {"correlation_id": ', quoted, ', "reply_to": "", "delivery_mode": 2, ',
    '"delivery_info": {"exchange": "", "routing_key": "', queue, '"}, "priority": 0, ',
    '"body_encoding": "base64", "delivery_tag": ', cjson.encode(id .. '-' .. rung .. '-' .. tag),
    '}}'})
end

-- The headers of a message, whatever lies in a queue; nil where it is none.
local function headers_of(message)
  local is_json, found = pcall(cjson.decode, message)
  if not is_json or type(found) ~= 'table' or type(found.headers) ~= 'table' then return nil end
  return found.headers
end

-- When the bell that is taken next was rung; nil where the queue holds none of ours. Looked up
-- once in a call: whoever is put in front takes that time.
local bells = {}
local function next_bell(queue)
  if bells[queue] == nil then
    local oldest = false
    for _, message in ipairs(redis.call('LRANGE', ROOT .. queue, -8, -1)) do
      local headers = #message < 8192 and headers_of(message)
      local rung = headers and type(headers.rung) == 'string' and tonumber(headers.rung)
      if rung and (not oldest or rung < oldest) then oldest = rung end
    end
    bells[queue] = oldest
  end
  return bells[queue] or nil
end

-- Queue a job and wake a worker. In front of the queue it takes the place (and the time)
-- of the bell that was next, so that bells stay in the order of their times.
local function enqueue(id, in_front)
  local rung = NOW
  if in_front then rung = math.min(next_bell(QUEUES[field(id, 'priority')]) or NOW, NOW) end
  rung = seconds(rung)
  local priority, kind = move(id, 'queued', rung)
  local queue = QUEUES[priority]
  local tag = redis.call('HINCRBY', job_key(id), 'bells', 1)
  redis.call(in_front and 'RPUSH' or 'LPUSH', ROOT .. queue, doorbell(id, kind, queue, rung, tag))
end

-- A new job that is queued at once.
local function create_queued(id, job)
  local rung, queue = seconds(NOW), QUEUES[job.priority]
  create(id, job, 'queued', rung, 'bells', 1)
  redis.call('LPUSH', ROOT .. queue, doorbell(id, job.kind, queue, rung, 1))
end

-- A new job that waits *delay* seconds before it is queued.
local function create_waiting(id, job, reason, delay)
  local due = seconds(NOW + delay)
  create(id, job, 'waiting', due, 'reason', reason, 'until', due)
end

-- Tell whoever asks Celery: the result is stored as Celery's Redis backend stores it. *meta* is
-- a JSON object without the task's id and *children* (JSON), as text: decoding it here would round
-- its numbers.
local function tell(id, meta, keep, children)
  local key = ROOT .. 'celery-task-meta-' .. id
  local text = table.concat({'{"task_id": ', cjson.encode(id), ', "children": ', children or '[]',
                             ', ', string.sub(meta, 2)})
  redis.call('SETEX', key, keep, text)
  redis.call('PUBLISH', key, text)
end

-- include shared/outbox
-- Give the result of a job that has ended to Celery ids that share it, *most* of them at once;
-- where there are more, the keeper goes on. Answers how many were told.
local function tell_followers(id, meta, keep, most)
  local followers = redis.call('SPOP', P .. 'followers:' .. id, most)
  if #followers == 0 then return 0 end
  local found = redis.call('HMGET', job_key(id), 'kind', 'state', 'result', 'failure')
  for _, follower in ipairs(followers) do
    tell(follower, meta, keep)
    tell_follower(follower, found[1], found[2], found[3], found[4])
  end
  if redis.call('EXISTS', P .. 'followers:' .. id) == 1 then
    redis.call('SADD', P .. 'untold', id)
  end
  return #followers
end

-- How long a job that ended is kept, as the workers' settings say (keeper/lead).
local function kept_seconds(state)
  local name = state == 'failed' and 'failures' or 'results'
  local default = state == 'failed' and 7 * DAY or DAY
  return tonumber(redis.call('HGET', P .. 'retention', name) or default)
end

-- End a job for good. *outcome*: result or failure as JSON, meta for Celery, and perhaps
-- keep in seconds. *told*: the event's name where it is another than `ended`.
local function finish(id, state, outcome, told)
  local keep = math.ceil(outcome.keep or kept_seconds(state))
  local now = seconds(NOW)
  local job = fields(id, {'state', 'priority', 'kind', 'started', 'signature', 'producer', 'staged',
                          'key', 'tell', 'children'})
  local kind = job.kind
  local said = {'ended', now}
  for _, name in ipairs({'failure', 'result'}) do
    if outcome[name] then
      table.insert(said, name)
      table.insert(said, outcome[name])
    end
  end
  shift(id, job, state, now, unpack(said))
  if not outcome.failure then redis.call('HDEL', job_key(id), 'failure') end
  local code = code_of(outcome.failure)
  event(id, kind, told or 'ended', {state = state, code = code})
  if not UNTOLD[kind] then
    count(table.concat({'job', kind, state, code or ''}, '|'), 1)
    local started = tonumber(job.started)
    if started then observe('run|' .. kind, NOW - started) end
  end
  redis.call('EXPIRE', job_key(id), keep)
  list_batch(id, kind, NOW + keep)
  use_up(job.signature)
  count_open(job.producer, -1)
  redis.call('UNLINK', P .. 'journal:' .. id)
  end_staged(job.staged, state)
  if job.key ~= '' then redis.call('EXPIRE', P .. 'key:' .. job.key, keep) end
  local children = state == 'succeeded' and job.children ~= '' and job.children
  tell(id, outcome.meta, keep, children)
  if job.tell ~= '' then
    local ends = redis.call('HINCRBY', job_key(id), 'ends', 1)
    put_words(id, ends, job.tell, kind, state, outcome.result, outcome.failure)
  end
  tell_followers(id, outcome.meta, keep, 100)
end

-- Whether the record of a job can be worked with. One that something else has written to ends here,
-- so that it stands in nobody's way: every script that goes through jobs asks this first.
local BROKEN = '{"code": "record_broken", "message": "The record in Redis is not one of a job.", '
  .. '"hint": "Something else than b2jobs has written to Redis.", "act": "operator", "attempts": 0}'
local WHOLE = {'attempts', 'lost', 'bells', 'unheard', 'ends'}
local function is_sound(id, from)
  local key = job_key(id)
  local is_hash = redis.call('TYPE', key).ok == 'hash'
  local sound = is_hash
  if is_hash then
    local found = redis.call('HMGET', key, 'priority', 'kind', unpack(WHOLE))
    sound = QUEUES[found[1] or ''] and (found[2] or '') ~= ''
    for n = 1, #WHOLE do
      local text = found[n + 2]
      sound = sound and (not text or #text < 12 and string.find(text, '^%-?%d+$') ~= nil)
    end
  end
  if sound then return true end
  redis.call('ZREM', from, id)
  count('refused|record', 1)
  if not is_hash then
    redis.call('UNLINK', key)
    return false
  end
  redis.call('HSET', key, 'id', id, 'priority', 'normal', 'attempts', 0, 'lost', 0)
  redis.call('HDEL', key, 'bells', 'unheard', 'ends')
  if field(id, 'kind') == '' then redis.call('HSET', key, 'kind', 'unknown') end
  finish(id, 'failed', {failure = BROKEN, meta = '{"status": "FAILURE", "result": {"exc_type": '
    .. '"JobFailed", "exc_message": [' .. BROKEN .. '], "exc_module": "b2jobs.errors"}, '
    .. '"traceback": null, "date_done": null}'})
  return false
end

-- Queue a job that has ended again, with its budget anew, and signed anew.
local function reopen(id)
  redis.call('PERSIST', job_key(id))
  local key = field(id, 'key')
  if key ~= '' then redis.call('SET', P .. 'key:' .. key, id) end
  redis.call('HDEL', job_key(id), 'failure', 'result', 'ended', 'started', 'cancel', 'progress',
             'wake', 'excused')
  redis.call('HSET', job_key(id), 'expires', '', 'unheard', 0, 'again', seconds(NOW))
  if given.signature then redis.call('HSET', job_key(id), 'signature', given.signature) end
  redis.call('DEL', ROOT .. 'celery-task-meta-' .. id)
  let_go(id)
  count_open(field(id, 'producer'), 1)
  list_batch(id, field(id, 'kind'), OPEN + NOW)
  event(id, field(id, 'kind'), 'retried')
  enqueue(id, false)
end

-- Hand over what outdated owners made, to be removed.
local function take_strays(id)
  local strays = redis.pcall('SMEMBERS', P .. 'strays:' .. id)
  if strays.err then strays = {} end  -- not written by b2jobs
  if #strays > 0 then redis.call('UNLINK', P .. 'strays:' .. id) end
  return strays
end

local function add_stray(id, made)
  redis.call('SADD', P .. 'strays:' .. id, made)
  redis.call('EXPIRE', P .. 'strays:' .. id, 30 * DAY)
end
