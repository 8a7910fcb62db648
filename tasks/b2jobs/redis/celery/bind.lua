#!lua flags=allow-oom
-- Note a queue among those of an exchange, as kombu does.
-- Arguments: sets (kombu's keys, behind the prefix), member.
-- Full Redis: allows it: a worker that starts there has to end jobs.
local given = cjson.decode(ARGV[1])
for _, set in ipairs(given.sets) do redis.call('SADD', KEYS[1] .. set, given.member) end
