#!lua flags=allow-oom
-- Leave a lane to whoever takes it next.
-- Arguments: lane.
-- Full Redis: allows it, since telling frees memory.
-- include shared/job
redis.call('ZADD', P .. 'outbox', 'XX', seconds(NOW), given.lane)
ring_outbox()
