#!lua flags=allow-oom
-- Take lanes whose words are due.
-- Arguments: most, lease (seconds).
-- Answer: the lanes.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
redis.call('DEL', P .. 'outbox-bell')
local lanes = redis.call('ZRANGEBYSCORE', P .. 'outbox', '-inf', seconds(NOW), 'LIMIT', 0, given.most)
for _, lane in ipairs(lanes) do
  redis.call('ZADD', P .. 'outbox', seconds(NOW + given.lease), lane)
end
if redis.call('ZCOUNT', P .. 'outbox', '-inf', seconds(NOW)) > 0 then ring_outbox() end
return lanes
