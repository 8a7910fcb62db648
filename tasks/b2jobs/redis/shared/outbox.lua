-- The outbox: what is told of jobs that have ended. `finish` puts the words of a job into it, so
-- that there is no end without its word. Included by shared/job.
--
-- A lane is a destination, or a part of one: its words are told one after the other, by one
-- thread at a time. It is due when its score in `outbox` is over; while it is served that is
-- the end of a lease, while its destination does not answer the end of a pause.

local function lane_key(lane) return P .. 'lane:' .. lane end
local function word_key(word) return P .. 'word:' .. word end

-- Wake one of those that deliver.
local function ring_outbox()
  if redis.call('LLEN', P .. 'outbox-bell') == 0 then redis.call('LPUSH', P .. 'outbox-bell', 1) end
end

local function queue_word(word, lane)
  redis.call('ZADD', lane_key(lane), seconds(NOW), word)
  redis.call('ZADD', P .. 'outbox', 'NX', seconds(NOW), lane)
  ring_outbox()
end

-- *told*: [[lane, to]] as JSON; *to* is the words' business, which no script reads. The id of a
-- word follows from the job, the number of its end and the place in *told*.
local function put_words(id, ends, told, kind, state, result, failure)
  local is_json, entries = pcall(cjson.decode, told)
  if not is_json or type(entries) ~= 'table' then return end  -- not written by b2jobs
  for at, entry in ipairs(entries) do
    if type(entry) ~= 'table' or type(entry[1]) ~= 'string' or type(entry[2]) ~= 'string' then
      return
    end
    local word = string.sub(redis.sha1hex(ROOT .. id .. ':' .. ends .. ':' .. at), 1, 32)
    redis.call('HSET', word_key(word), 'job', id, 'kind', kind, 'state', state, 'to', entry[2],
               'result', result or '', 'failure', failure or '', 'lane', entry[1], 'tries', 0,
               'ended', seconds(NOW), 'since', seconds(NOW))
    queue_word(word, entry[1])
  end
end

-- Celery tasks that share a job's result have words of their own.
local function tell_follower(follower, kind, state, result, failure)
  local told = redis.call('GETDEL', P .. 'follower:' .. follower)
  if told then put_words(follower, 1, told, kind, state, result, failure) end
end

-- Keep a word that was not delivered, for whoever sends it again.
local function give_up(word, lane, keep)
  redis.call('ZREM', lane_key(lane), word)
  redis.call('ZREMRANGEBYSCORE', P .. 'undelivered', '-inf', seconds(NOW - keep))
  redis.call('ZADD', P .. 'undelivered', seconds(NOW), word)
  redis.call('EXPIRE', word_key(word), math.ceil(keep))
end
