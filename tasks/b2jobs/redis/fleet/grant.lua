#!lua flags=allow-oom
-- A share of a rate. One number a key: the time at which all that was granted is used up (GCRA).
-- Arguments: key (behind the prefix), cost and burst in milliseconds.
-- Answer: milliseconds until it may be used.
-- Full Redis: allows it: limits hold for the jobs that go on.
local given = cjson.decode(ARGV[1])
local key = KEYS[1] .. given.key
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local used_up = math.max(tonumber(redis.call('GET', key) or 0), now)
local wait = used_up - now - given.burst
local last = used_up + given.cost
redis.call('SET', key, string.format('%.3f', last), 'PX', math.ceil(last - now) + 1000)
return math.max(math.ceil(wait), 0)
