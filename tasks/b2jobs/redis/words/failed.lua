#!lua flags=allow-oom
-- A word could not be told: again later, or given up.
-- Arguments: word, lane, error (text), delay (seconds), ends (1: it cannot heal), is_silent (1:
--   nothing else of the lane could be told now), longest (seconds, of a lane's pause), patience
--   (seconds after which a word is given up), keep (seconds for which it is kept then).
-- Answer: 1 to go on with the lane, 0 where it has been left.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
local word, lane = given.word, given.lane
local since = redis.call('HGET', word_key(word), 'since')
if since then
  redis.call('HSET', word_key(word), 'error', given.error)
  redis.call('HINCRBY', word_key(word), 'tries', 1)
  if given.ends == 1 or NOW + given.delay > tonumber(since) + given.patience then
    give_up(word, lane, given.keep)
  else
    redis.call('ZADD', lane_key(lane), seconds(NOW + given.delay), word)
  end
end
if given.is_silent == 0 then return 1 end
-- A destination that is away for a day: those that had no turn have waited long enough as well.
for _, each in ipairs(redis.call('ZRANGEBYSCORE', lane_key(lane), '-inf',
                                 seconds(NOW - given.patience), 'LIMIT', 0, 1000)) do
  local waited = redis.call('HGET', word_key(each), 'since')
  if waited and tonumber(waited) + given.patience < NOW then
    redis.call('HSET', word_key(each), 'error', given.error)
    give_up(each, lane, given.keep)
  end
end
local silences = redis.call('HINCRBY', P .. 'silences', lane, 1)
local pause = math.min(2 ^ math.min(silences - 1, 16), given.longest)
redis.call('ZADD', P .. 'outbox', seconds(NOW + pause), lane)
return 0
