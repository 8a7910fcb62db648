#!lua flags=allow-oom
-- A piece of a rate. One number a key: the time at which all that was granted is used up (GCRA).
-- What is not granted is not booked: who asks again, or dies, takes nothing from the others.
-- Arguments: key (behind the prefix), cost and burst in milliseconds.
-- Answer: 0 where it is granted, else the milliseconds until it can be.
-- Full Redis: allows it: limits hold for the jobs that go on.
local given = cjson.decode(ARGV[1])
local key = KEYS[1] .. given.key
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local used_up = math.max(tonumber(redis.call('GET', key) or 0), now)
local wait = used_up - now - given.burst
if wait > 0 then return math.ceil(wait) end
local last = used_up + given.cost
redis.call('SET', key, string.format('%.3f', last), 'PX', math.ceil(last - now) + 1000)
return 0
