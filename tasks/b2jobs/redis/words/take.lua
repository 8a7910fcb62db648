#!lua flags=allow-oom
-- Renew the leases of lanes in which a word is being told, and take lanes whose words are due.
-- Arguments: most, lease (seconds), perhaps held: [lane].
-- Answer: the lanes.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
redis.call('DEL', P .. 'outbox-bell')
for _, lane in ipairs(given.held or {}) do
  redis.call('ZADD', P .. 'outbox', 'XX', seconds(NOW + given.lease), lane)
end
local lanes = redis.call('ZRANGEBYSCORE', P .. 'outbox', '-inf', seconds(NOW), 'LIMIT', 0, given.most)
for _, lane in ipairs(lanes) do
  redis.call('ZADD', P .. 'outbox', seconds(NOW + given.lease), lane)
end
if redis.call('ZCOUNT', P .. 'outbox', '-inf', seconds(NOW)) > 0 then ring_outbox() end
return lanes
