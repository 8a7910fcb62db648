#!lua flags=allow-oom
-- Tell all workers to pause; of two pauses the later end holds.
-- Arguments: key (behind the prefix), told, milliseconds.
-- Full Redis: allows it: pauses hold for the jobs that go on.
local given = cjson.decode(ARGV[1])
local key = KEYS[1] .. given.key
if redis.call('PTTL', key) < given.milliseconds then
  redis.call('SET', key, given.told, 'PX', given.milliseconds)
end
