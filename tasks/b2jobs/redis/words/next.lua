#!lua flags=allow-oom
-- The next word of a lane that was taken, whose lease is renewed; without one the lane is left.
-- Arguments: lane, lease (seconds).
-- Answer: the word's id, its fields and values; empty where none is due.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
local lane = given.lane
local word = redis.call('ZRANGEBYSCORE', lane_key(lane), '-inf', seconds(NOW), 'LIMIT', 0, 1)[1]
while word do
  local found = redis.call('HGETALL', word_key(word))
  if #found > 0 then
    redis.call('ZADD', P .. 'outbox', seconds(NOW + given.lease), lane)
    return {word, found}
  end
  redis.call('ZREM', lane_key(lane), word)
  word = redis.call('ZRANGEBYSCORE', lane_key(lane), '-inf', seconds(NOW), 'LIMIT', 0, 1)[1]
end
local first = redis.call('ZRANGE', lane_key(lane), 0, 0, 'WITHSCORES')
if first[1] then
  redis.call('ZADD', P .. 'outbox', first[2], lane)
else
  redis.call('ZREM', P .. 'outbox', lane)
  redis.call('HDEL', P .. 'silences', lane)
end
return {}
